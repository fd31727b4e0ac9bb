"use strict";
(function () {
  var told = JSON.parse(document.getElementById("charts").textContent);
  var options = {
    mode: "vega-lite", renderer: "svg", actions: false, defaultStyle: false, ast: true,
    config: told.config, tooltip: { theme: "custom", offsetX: 12, offsetY: 12 }
  };
  Object.keys(told.charts).forEach(function (key) {
    var place = document.getElementById(key);
    window.vegaEmbed(place, told.charts[key], options).then(
      function () {
        // The words around a chart are its description; its parts read out one by one are none.
        ["role", "aria-label", "aria-roledescription", "tabindex"].forEach(function (name) { place.removeAttribute(name); });
        place.setAttribute("aria-hidden", "true");
        place.parentNode.dataset.drawn = "yes";
      },
      function (error) { place.textContent = "This chart could not be drawn: " + error.message; }
    );
  });

  // Where there is room beside the page, its contents are open.
  var beside = window.matchMedia("(min-width: 80rem)");
  function contents() { document.querySelector(".contents details").open = beside.matches; }
  beside.addEventListener("change", contents);
  contents();

  // A region is a stop on the way of the keyboard only while there is something to scroll in it.
  var regions = document.querySelectorAll(".scroll");
  function stops() {
    regions.forEach(function (region) {
      if (region.scrollWidth > region.clientWidth + 1) { region.tabIndex = 0; } else { region.removeAttribute("tabindex"); }
    });
  }
  window.addEventListener("resize", stops);
  document.addEventListener("toggle", stops, true);
  stops();

  document.querySelectorAll("[data-copy]").forEach(function (button) {
    if (!navigator.clipboard) { return; }
    button.hidden = false;
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(button.dataset.copy).then(function () {
        button.textContent = "Copied";
        window.setTimeout(function () { button.textContent = "Copy"; }, 2000);
      });
    });
  });

  // On paper nothing can be opened.
  var shut = [];
  window.addEventListener("beforeprint", function () {
    shut = Array.prototype.slice.call(document.querySelectorAll("main details:not([open])"));
    shut.forEach(function (one) { one.open = true; });
  });
  window.addEventListener("afterprint", function () {
    shut.forEach(function (one) { one.open = false; });
  });
})();
