// One box that ticks all others of a table, those whose names begin as it says.
document.addEventListener("change", ({ target }) => {
  const beginning = target.dataset.picks;
  if (!beginning) return;
  for (const each of target.closest("table").querySelectorAll(`input[name^="${beginning}"]`)) each.checked = target.checked;
});
