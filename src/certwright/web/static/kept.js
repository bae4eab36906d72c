// A form in which a person has changed something stays as it is, together with what it shows and with what says at which
// state it was shown, when the page around it is brought up to date: so what it sends is judged by what that person saw.
// What is pressed does what it said when it got the focus: what says or does something else takes its place without it.
(() => {
  const changed = new WeakSet(), told = new WeakSet();
  const differs = (field) => {
    if (field instanceof HTMLSelectElement) {
      return field.selectedIndex !== Math.max(0, [...field.options].findIndex((each) => each.defaultSelected));
    }
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    return "defaultValue" in field && field.value !== field.defaultValue;
  };
  const shownAt = (form) => [...form.querySelectorAll("input[type=hidden]")].map((each) => each.defaultValue).join("\n");
  const isKept = (form, coming) => {
    const isEdited = changed.has(form) || [...form.elements].some(differs);
    return isEdited && form.action === coming.action && shownAt(form) !== shownAt(coming);
  };
  const tell = (form) => {
    if (told.has(form)) return;
    told.add(form);
    form.prepend(document.getElementById("meanwhile").content.cloneNode(true));
    form.querySelector("a").href = location.href;
  };
  const isSame = (element, coming) =>
    element.matches("a, button")
      ? element.cloneNode().isEqualNode(coming.cloneNode())
      : element.getAttribute("action") === coming.getAttribute("action");

  htmx.registerExtension("kept", {
    init: (htmxs) => {
      const { isSoftMatch } = htmxs;
      htmxs.isSoftMatch = (element, coming) => isSoftMatch(element, coming) && isSame(element, coming);
    },
    htmx_before_morph_attr: (element, { attrName }) => !(element instanceof HTMLDetailsElement && attrName === "open"),
    htmx_before_morph_node: (element, { newNode }) => {
      if (!(element instanceof HTMLFormElement) || !isKept(element, newNode)) return true;
      tell(element);
      return false;
    },
  });
  document.addEventListener("input", ({ target }) => target.form && changed.add(target.form));
})();
