(() => {
  const table = document.querySelector(".sites");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const words = rows.map((row) => row.textContent.toLowerCase());
  const find = document.getElementById("find");
  const which = document.getElementById("which");
  const shown = document.getElementById("shown");

  function filter() {
    const wanted = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let number = 0;
    rows.forEach((row, place) => {
      const fits = wanted.every((word) => words[place].includes(word));
      row.hidden = !fits || (which.value !== "" && !row.classList.contains(which.value));
      number += row.hidden ? 0 : 1;
    });
    shown.textContent = number === 1 ? "1 layer" : `${number} layers`;
  }

  function sort(heading, column) {
    const numeric = heading.classList.contains("n");
    const now = heading.getAttribute("aria-sort");
    const down = now ? now === "ascending" : numeric && column > 0;
    const key = (row) => {
      const cell = row.cells[column];
      return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
    };
    const sign = down ? -1 : 1;
    const order = rows.map((row, place) => [key(row), place, row]);
    order.sort(([a, i], [b, j]) => (a < b ? -sign : a > b ? sign : i - j));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...order.map(([, , row]) => row));
  }

  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    heading.firstElementChild.addEventListener("click", () => sort(heading, column));
  });
  find.addEventListener("input", filter);
  which.addEventListener("change", filter);
})();
