"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const fold = (text) => text.normalize("NFKC").toLocaleLowerCase();

  // Colours: as the system has them, or as the reader said last.
  const stored = { get() { try { return localStorage.getItem("refinery-beam-theme"); } catch { return null; } },
                   set(value) { try { localStorage.setItem("refinery-beam-theme", value); } catch { /* a browser may refuse */ } } };
  const paint = (theme) => {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    for (const button of all("[data-theme-button]")) button.setAttribute("aria-pressed", String(button.dataset.themeButton === theme));
  };
  const known = stored.get();
  if (known === "light" || known === "dark") paint(known);
  for (const button of all("[data-theme-button]")) button.addEventListener("click", () => { paint(button.dataset.themeButton); stored.set(button.dataset.themeButton); });

  // Where this file lies is where the instance is; the file itself does not say it.
  const here = decodeURIComponent(location.pathname);
  if (location.protocol === "file:" && here.endsWith("/report/report.html")) {
    const folder = here.slice(0, -"/report/report.html".length);
    for (const slot of all("[data-path]")) slot.textContent = "path = " + JSON.stringify(folder);
  }

  // Copying.
  for (const button of all("[data-copy]")) {
    button.setAttribute("aria-live", "polite");
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try { await navigator.clipboard.writeText(code.textContent + "\n"); }
      catch { const range = document.createRange(); range.selectNodeContents(code); getSelection().removeAllRanges(); getSelection().addRange(range); document.execCommand("copy"); }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1600);
    });
  }

  // Tabs: without this script all panels stand below each other.
  for (const tabs of all("[data-tabs]")) {
    const list = tabs.querySelector("[role=tablist]"), panels = all("[data-tab]", tabs);
    const buttons = panels.map((panel, i) => {
      const button = document.createElement("button");
      button.type = "button"; button.id = `tab-${i}`; button.textContent = panel.dataset.tab;
      button.setAttribute("role", "tab"); button.setAttribute("aria-controls", `panel-${i}`);
      panel.id = `panel-${i}`; panel.setAttribute("role", "tabpanel"); panel.setAttribute("aria-labelledby", button.id);
      list.append(button);
      return button;
    });
    const show = (n, focus) => {
      buttons.forEach((button, i) => { button.setAttribute("aria-selected", String(i === n)); button.tabIndex = i === n ? 0 : -1; panels[i].hidden = i !== n; });
      if (focus) buttons[n].focus();
    };
    buttons.forEach((button, i) => {
      button.addEventListener("click", () => show(i, false));
      button.addEventListener("keydown", (event) => {
        const step = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: buttons.length - 1 }[event.key];
        if (step !== undefined) { event.preventDefault(); show((step + buttons.length) % buttons.length, true); }
      });
    });
    tabs.classList.add("on");
    show(0, false);
  }

  // Sorting: numbers by value, everything else by the rules of the reader's language; rows that are equal keep their order.
  const order = new Intl.Collator(undefined, { numeric: true });
  const value = (row, column) => row.cells[column].textContent.trim();
  const amount = (text) => { const plain = text.replace(/[,%\s]/g, ""); return plain !== "" && isFinite(plain) ? Number(plain) : NaN; };
  for (const table of all("table[data-sortable]")) {
    all("thead th", table).forEach((head, column) => {
      if ("fixed" in head.dataset) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.classList.contains("num") ? head.getAttribute("aria-sort") !== "descending" : head.getAttribute("aria-sort") === "ascending";
        for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const keyed = [...table.tBodies[0].rows].map((row) => [value(row, column), row]);
        const numbers = head.classList.contains("num");
        keyed.sort(([a], [b]) => {
          if (!numbers) return down ? order.compare(b, a) : order.compare(a, b);
          const x = amount(a), y = amount(b);
          if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
          return down ? y - x : x - y;
        });
        table.tBodies[0].append(...keyed.map(([, row]) => row));
      });
    });
  }

  // Filtering rows and pictures.
  const report = (count, all) => count === all ? "" : `${count.toLocaleString("en")} of ${all.toLocaleString("en")}`;
  for (const input of all("[data-filter]")) {
    const rows = all("tbody tr", document.getElementById(input.dataset.filter));
    const texts = rows.map((row) => fold(row.textContent));
    const said = document.querySelector(`[data-count="${input.dataset.filter}"]`);
    input.addEventListener("input", () => {
      const wanted = fold(input.value.trim());
      let count = 0;
      rows.forEach((row, i) => { row.hidden = !texts[i].includes(wanted); count += !row.hidden; });
      said.textContent = report(count, rows.length);
    });
  }
  const label = document.querySelector("[data-grid-filter]"), split = document.querySelector("[data-grid-split]");
  if (label) {
    const bands = all("[data-band]");
    const narrow = () => {
      const wanted = fold(label.value.trim());
      let count = 0, every = 0;
      for (const band of bands) {
        let left = 0;
        for (const cell of all(".cell", band)) {
          const tile = cell.querySelector("[data-split]");
          cell.hidden = !fold(band.dataset.band).includes(wanted) || (split.value !== "" && tile.dataset.split !== split.value);
          left += !cell.hidden; every += 1;
        }
        band.hidden = left === 0; count += left;
      }
      document.querySelector("[data-grid-count]").textContent = report(count, every);
    };
    label.addEventListener("input", narrow);
    split.addEventListener("change", narrow);
  }

  // Enlarging.
  const zoom = document.getElementById("zoom"), image = document.getElementById("zoom-image"), caption = document.getElementById("zoom-caption");
  let tiles = [], at = 0;
  const enlarge = (n) => {
    at = (n + tiles.length) % tiles.length;
    const source = tiles[at].querySelector("img");
    image.src = source.src; image.className = source.naturalWidth < 512 ? "small" : "";
    zoom.classList.toggle("sheet-open", tiles[at].classList.contains("sheet"));
    image.alt = caption.textContent = tiles[at].getAttribute("aria-label");
  };
  for (const tile of all("[data-zoom]")) tile.addEventListener("click", () => {
    tiles = all("[data-zoom]", tile.closest("section")).filter((one) => one.offsetParent !== null);
    enlarge(tiles.indexOf(tile));
    zoom.showModal();
  });
  zoom.querySelector(".prev").addEventListener("click", () => enlarge(at - 1));
  zoom.querySelector(".next").addEventListener("click", () => enlarge(at + 1));
  zoom.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") enlarge(at - 1);
    if (event.key === "ArrowRight") enlarge(at + 1);
  });
  zoom.addEventListener("click", (event) => { if (event.target === zoom) zoom.close(); });
  zoom.addEventListener("close", () => { image.removeAttribute("src"); if (tiles[at]) tiles[at].focus(); });

  // Which section is read.
  const links = new Map(all(".toc a").map((link) => [link.hash.slice(1), link]));
  const visible = new Set();
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) { if (entry.isIntersecting) visible.add(entry.target.id); else visible.delete(entry.target.id); }
    const current = [...links.keys()].find((id) => visible.has(id));
    for (const [id, link] of links) { if (id === current) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current"); }
  }, { rootMargin: "-15% 0px -70% 0px" });
  for (const id of links.keys()) { const section = document.getElementById(id); if (section) watch.observe(section); }
})();
