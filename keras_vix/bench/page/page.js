"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Sorting: numbers by value, text by the alphabet of the reader; what has no value stays last in both directions.
  const sort = (table, head) => {
    const place = head.cellIndex;
    const text = head.classList.contains("text") || place === 0;
    const down = head.getAttribute("aria-sort") === "ascending";
    const body = table.tBodies[0];
    const value = (row) => row.cells[place].dataset.v;
    const compare = (a, b) => (text ? a.localeCompare(b, undefined, { numeric: true }) : Number(a) - Number(b));
    const rows = [...body.rows];
    const known = rows.filter((row) => value(row) !== undefined);
    const unknown = rows.filter((row) => value(row) === undefined);
    known.sort((a, b) => (down ? -1 : 1) * compare(value(a), value(b)));
    body.append(...known, ...unknown);
    all("[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  };
  for (const table of all("table.own")) {
    for (const button of all("thead button", table)) {
      button.addEventListener("click", () => sort(table, button.parentElement));
    }
  }

  // Filtering: every word somewhere in the row, and every choice met.
  const controls = document.querySelector(".controls");
  const search = document.getElementById("filter");
  const choices = all("select[data-choice]");
  const rows = all("table.own tbody tr, details.run");
  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = choices.filter((one) => one.value);
    for (const row of rows) {
      const told = `${row.textContent} ${Object.values(row.dataset).join(" ")}`.toLowerCase();
      row.hidden = !words.every((word) => told.includes(word))
        || !wanted.every((one) => row.dataset[one.dataset.choice] === one.value);
    }
    const own = all("#results table.own tbody tr");
    const shown = own.filter((row) => !row.hidden).length;
    document.getElementById("found").textContent = shown === own.length ? "" : `${shown} of ${own.length} rows`;
  };
  if (search) {
    search.addEventListener("input", apply);
    choices.forEach((one) => one.addEventListener("change", apply));
    controls.hidden = false;
  }

  // Groups of columns.
  for (const box of all("input[data-group]")) {
    const show = () => document.body.classList.toggle(`no-${box.dataset.group}`, !box.checked);
    box.addEventListener("change", show);
    show();
  }

  // Figures open large; the dialog closes by Escape, by its button, and by a click beside the figure.
  const large = document.getElementById("large");
  for (const button of all(".enlarge")) {
    button.addEventListener("click", () => {
      const image = document.getElementById("enlarged");
      image.src = button.firstElementChild.src;
      image.alt = button.firstElementChild.alt;
      document.getElementById("words").textContent = button.parentElement.querySelector("figcaption").textContent;
      large.showModal();
    });
  }
  large.addEventListener("click", (event) => { if (event.target === large) large.close(); });

  // Commands: copied by the clipboard's own interface, or through a selection where a page may not use it.
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };
  for (const button of all(".copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      button.textContent = (await copy(button.previousElementSibling.textContent)) ? "Copied" : "Select and copy";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }

  // A link to a run opens it.
  const open = () => {
    const run = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (run && run.tagName === "DETAILS") {
      run.open = true;
      run.scrollIntoView();
    }
  };
  window.addEventListener("hashchange", open);
  open();
})();
