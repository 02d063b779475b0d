"use strict";
// Zoom the network; filter and sort the list of groups. The page can be read without; #filter=TEXT starts with a filter.
(function () {
  document.documentElement.classList.add("with-script");
  const picture = document.querySelector(".network svg");
  if (picture) zoom(picture);
  const list = document.getElementById("list");
  if (!list) return;
  const rows = Array.from(list.children);
  const field = document.getElementById("filter");
  const order = document.getElementById("order");
  const count = document.getElementById("count");
  const place = (row) => Number(row.id.slice(1));
  const keys = { network: place, cut: (row) => -row.dataset.cut, size: (row) => -row.dataset.size };

  function zoom(svg) {
    const wide = Number(svg.getAttribute("width"));
    const high = Number(svg.getAttribute("height"));
    const room = svg.parentElement;
    const fitting = () => Math.min(1, (room.clientWidth - 16) / wide);
    let scale = 1;
    const show = (wanted) => {
      const middle = (room.scrollTop + room.clientHeight / 2) / (high * scale);
      scale = Math.max(0.1, Math.min(4, wanted));
      svg.setAttribute("width", wide * scale);
      svg.setAttribute("height", high * scale);
      room.scrollTop = middle * high * scale - room.clientHeight / 2;
      room.scrollLeft = (wide * scale - room.clientWidth) / 2;
    };
    document.querySelectorAll("[data-zoom]").forEach((button) => {
      const factor = Number(button.dataset.zoom);
      button.addEventListener("click", () => show(factor ? scale * factor : fitting()));
    });
    room.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      show(scale * (0 > event.deltaY ? 1.1 : 1 / 1.1));
    }, { passive: false });
    show(Math.max(fitting(), 0.6));
    room.scrollTop = 0;
  }

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
    list.append(...rows.slice().sort((a, b) => key(a) - key(b) || place(a) - place(b)));
  }

  function follow() {
    let hash = location.hash.slice(1);
    try { hash = decodeURIComponent(hash); } catch (error) { return; }
    if (hash.startsWith("filter=")) {
      field.value = hash.slice("filter=".length);
      filter();
      if (document.readyState === "complete") document.getElementById("filter").scrollIntoView({ block: "start" });
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
