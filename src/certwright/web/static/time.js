// Shows moments in the reader's own zone; the exact one, in UTC, on hover.
(() => {
  const language = document.documentElement.lang;
  const forms = {
    moment: new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }),
    day: new Intl.DateTimeFormat(language, { dateStyle: "medium" }),
    second: new Intl.DateTimeFormat(language, { timeStyle: "medium" }),
  };
  const show = (root) => {
    for (const each of root.querySelectorAll("time[datetime]:not([title])")) {
      const exact = new Date(each.dateTime);
      each.title = exact.toISOString().replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");
      each.textContent = forms[each.dataset.form ?? "moment"].format(exact);
    }
  };
  show(document);
  document.addEventListener("htmx:after:swap", () => show(document));
})();
