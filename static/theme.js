// Sets the chosen theme before the first paint. The one script that is not a module: a module would run too late.
(() => {
  const apply = () => {
    let theme = null;
    try {
      theme = localStorage.getItem("ipin-theme");
    } catch {
      // No storage in this browser: the system's theme it is.
    }
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  };
  apply();
  addEventListener("storage", apply);
})();
