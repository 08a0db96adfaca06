// A table that is wider than its place shows at which edges there is more of it.
function startScroll() {
  const mark = (box) => {
    box.classList.toggle("more-left", box.scrollLeft > 1);
    box.classList.toggle("more-right", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
  };
  // also when a fold opens or the window turns
  const sized = new ResizeObserver((seen) => seen.forEach((entry) => mark(entry.target)));
  for (const box of document.querySelectorAll(".scroll")) {
    box.addEventListener("scroll", () => mark(box), { passive: true });
    sized.observe(box);
  }
}
