// Saves the result that the page carries as a JSON file.
(() => {
  "use strict";
  const button = document.getElementById("save"), data = document.getElementById("result");
  if (!button || !data) return;
  button.hidden = false;
  button.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([data.textContent], { type: "application/json" }));
    link.download = "latentsr-bench.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
})();
