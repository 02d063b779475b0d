"use strict";
// Filter and sort the list of groups. The page can be read without; #filter=TEXT starts with a filter.
(function () {
  document.documentElement.classList.add("with-script");
  const list = document.getElementById("list");
  if (!list) return;
  const rows = Array.from(list.children);
  const field = document.getElementById("filter");
  const order = document.getElementById("order");
  const count = document.getElementById("count");
  const keys = { cut: (row) => -row.dataset.cut, size: (row) => -row.dataset.size };

  function filter() {
    const wanted = field.value.trim().toLowerCase();
    let shown = 0;
    rows.forEach((row) => {
      row.hidden = !row.dataset.name.toLowerCase().includes(wanted);
      shown += row.hidden ? 0 : 1;
    });
    count.textContent = wanted ? shown + " of " + rows.length + " groups" : rows.length + " groups";
  }

  function sort() {
    const key = keys[order.value];
    const sorted = key ? rows.slice().sort((a, b) => key(a) - key(b)) : rows;
    list.append(...sorted);
  }

  function follow() {
    let hash = location.hash.slice(1);
    try { hash = decodeURIComponent(hash); } catch (error) { return; }
    if (hash.startsWith("filter=")) {
      field.value = hash.slice("filter=".length);
      filter();
      return;
    }
    const row = /^g\d+$/.test(hash) ? document.getElementById(hash) : null;
    if (!row) return;
    if (row.hidden) { field.value = ""; filter(); }
    row.firstElementChild.open = true;
    row.scrollIntoView({ block: "center" });
  }

  field.addEventListener("input", filter);
  order.addEventListener("change", sort);
  window.addEventListener("hashchange", follow);
  follow();
})();
