// Light, dark, or as the system says; and the contents, which are folded on a phone.
function startTheme() {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  byId("theme").addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; });
  const fold = document.querySelector("nav details");
  if (matchMedia("(max-width: 60rem)").matches) {
    fold.open = false;
    fold.addEventListener("click", (event) => { if (event.target.closest("a")) fold.open = false; });
  }
}
