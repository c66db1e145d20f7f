// Before the first paint: the theme that was chosen here, if any.
(() => {
  try {
    const chosen = localStorage.getItem("weir-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch { /* storage may be off; then the system's theme holds */ }
})();
