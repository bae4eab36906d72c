// A form that is on its way is not sent once more by an impatient press: the second answer would hide that of the first.
// It can be sent again when something in it was changed, when somebody comes back to its page, and after some seconds,
// for not everything that is sent leads to another page: a file does not, and a person may stop it.
(() => {
  const SOME_SECONDS = 10_000;
  let sent = new WeakMap();
  document.addEventListener("submit", (event) => {
    const { target: form, timeStamp } = event;
    if (form.method !== "post") return;
    if (timeStamp - sent.get(form) < SOME_SECONDS) event.preventDefault();
    else sent.set(form, timeStamp);
  });
  document.addEventListener("input", ({ target }) => sent.delete(target.form));
  addEventListener("pageshow", () => { sent = new WeakMap(); });
})();
