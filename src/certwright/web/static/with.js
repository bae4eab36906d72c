// Fields that count only with another one are shown with it, and are not sent without.
const counts = (field, values) => {
  const value = field.type === "checkbox" && !field.checked ? "" : field.value.trim();
  return !field.disabled && (values ? values.split(" ").includes(value) : value !== "");
};
const settle = (form) => {
  for (const each of form.querySelectorAll("[data-with]")) {
    const other = form.elements.namedItem(each.dataset.with);
    each.hidden = !!other && !counts(other, each.dataset.values);
    for (const field of each.querySelectorAll("input, select, textarea")) field.disabled = each.hidden;
  }
};
document.addEventListener("input", ({ target }) => target.form && settle(target.form));
for (const form of document.forms) settle(form);
