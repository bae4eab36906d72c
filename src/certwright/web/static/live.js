// Keeps a page true while it is looked at: when a run writes into its journal, somebody changes something, or a minute has
// passed, the page is asked for again, and what differs is put in place. One tab of a browser listens, and tells the others.
// A page of work that is under way is asked for all the time: not all work writes into a journal.
(() => {
  const main = document.querySelector("main[data-live]");
  if (!main) return;
  const OFTEN = 1000, MINUTE = 60_000, AGAIN = 5000, SIGNED_OUT = 401, FAILED = 500;
  const CONNECTED = "connected", LOST = "lost", ENDED = "ended";
  const BY_ITSELF = { "Certwright-Live": "1" };
  const stream = "/live";
  const tabs = new BroadcastChannel("certwright");
  const place = (text) => text.split("-").map(Number); // the last journal entry, and the last of what people did
  const isAhead = (one, other) => one.some((number, at) => number > other[at]);
  let known = place(main.dataset.known);
  let state = CONNECTED, source = null, isInLine = false, timer = 0, isAsking = false, isLate = false;

  const here = () => location.pathname + location.search;
  const refresh = async () => {
    timer = 0;
    isLate = document.hidden;
    if (isLate || state === ENDED) return;
    isAsking = true;
    try {
      await htmx.ajax("GET", here(), { target: "#main", select: "#main", swap: "outerMorph", headers: BY_ITSELF });
    } finally {
      isAsking = false;
      if (isLate) soon();
    }
  };
  const soon = () => {
    if (isAsking) isLate = true;
    else timer ||= setTimeout(refresh, OFTEN);
  };
  const heard = ({ at, about }) => {
    known = known.map((number, each) => Math.max(number, at[each]));
    const wanted = document.querySelector("main").dataset.live;
    if (!wanted || !about || wanted.split(" ").some((each) => about.includes(each))) soon();
  };
  const become = (next) => {
    const before = state;
    state = next;
    document.getElementById("connection").hidden = state !== LOST;
    const ended = document.getElementById("signed-out");
    ended.hidden = state !== ENDED;
    ended.querySelector("a").href = `/sign-in?next=${encodeURIComponent(here())}`;
    if (state !== CONNECTED || before === CONNECTED) return;
    soon();
    begin(); // somebody has signed in again in another tab
  };
  const tell = (told) => {
    tabs.postMessage(told);
    if ("state" in told) become(told.state);
    else heard(told);
  };

  const isSignedOut = () =>
    fetch(here(), { method: "HEAD", headers: BY_ITSELF }).then(({ status }) => status === SIGNED_OUT, () => false);
  const listen = (leave) => {
    source = new EventSource(`${stream}?after=${known.join("-")}`);
    source.onopen = () => {
      tell({ state: CONNECTED });
      tabs.postMessage({ at: known }); // what came before this is told by no stream to a tab that knows less
    };
    source.addEventListener("entry", ({ lastEventId, data }) => tell({ at: place(lastEventId), about: [data] }));
    source.addEventListener("act", ({ lastEventId, data }) => tell({ at: place(lastEventId), about: ["act", data] }));
    source.onerror = async () => {
      // A browser tries a broken connection again by itself, but not one that was answered otherwise.
      const isClosed = source.readyState === EventSource.CLOSED;
      if (isClosed && await isSignedOut()) {
        source = null;
        isInLine = false;
        tell({ state: ENDED });
        leave();
      } else {
        tell({ state: LOST });
        if (isClosed) setTimeout(listen, AGAIN, leave);
      }
    };
  };
  const begin = () => {
    if (isInLine) return;
    isInLine = true;
    if (navigator.locks) navigator.locks.request("certwright", () => new Promise(listen));
    else listen(() => {}); // only a page that came without encryption, from another machine, has no locks: then each tab listens
  };
  tabs.onmessage = ({ data }) => {
    if ("state" in data) become(data.state);
    else if ("asks" in data) { if (source && isAhead(known, data.asks)) tabs.postMessage({ at: known }); }
    else if (data.about || isAhead(data.at, known)) heard(data);
  };

  htmx.registerExtension("live", {
    htmx_before_response: (_element, { ctx: { response } }) => {
      const onward = response.headers.get("HX-Redirect");
      if (onward) location.replace(onward); // so that the browser's Back leads to where the work was begun
      if (response.status === SIGNED_OUT) tell({ state: ENDED });
      return !onward && response.status !== SIGNED_OUT && response.status < FAILED;
    },
  });
  tabs.postMessage({ asks: known });
  begin();
  setInterval(soon, MINUTE);
  setInterval(() => { if (document.querySelector("main[data-at-work]")) soon(); }, OFTEN);
  document.addEventListener("visibilitychange", () => { if (isLate) soon(); });
})();
