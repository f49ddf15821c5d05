/**
 * Draws diagrams for the dashboard (diagrams.js), inside a frame that has no origin: it sees nothing of the page, of its
 * cookies or its storage, and reaches nobody. A classic script, since modules are not loaded without an origin.
 */

"use strict";

const SVG_MAX = 2_000_000;

addEventListener("message", ({ ports: [port] }) => {
  let last = Promise.resolve();
  port.onmessage = ({ data }) => (last = last.then(() => draw(data)).then((drawn) => port.postMessage({ id: data.id, ...drawn })));
}, { once: true });

async function draw({ id, source, colours, isDark }) {
  try {
    mermaid.initialize(settings(colours, isDark));
    const { svg } = await mermaid.render(`diagram-${id}`, source);
    return picture(svg);
  } catch (error) {
    return { error: String(error?.message ?? error).slice(0, 300) };
  } finally {
    document.body.replaceChildren();
  }
}

function settings(colours, isDark) {
  return {
    startOnLoad: false,
    securityLevel: "strict",
    suppressErrorRendering: true,
    // What a diagram may not set for itself.
    secure: ["secure", "securityLevel", "startOnLoad", "maxTextSize", "maxEdges", "suppressErrorRendering", "themeCSS", "fontFamily", "htmlLabels"],
    theme: "base",
    darkMode: isDark,
    fontFamily: "system-ui, sans-serif",
    // Words as words of SVG: HTML inside an image is not drawn by every browser.
    htmlLabels: false,
    flowchart: { htmlLabels: false },
    class: { htmlLabels: false },
    themeVariables: {
      darkMode: isDark,
      fontFamily: "system-ui, sans-serif",
      fontSize: "14px",
      useGradient: false,
      dropShadow: "none",
      background: colours.surface,
      primaryColor: colours["accent-soft"],
      primaryTextColor: colours.text,
      primaryBorderColor: colours.accent,
      secondaryColor: colours.sunken,
      tertiaryColor: colours.sunken,
      lineColor: colours.muted,
      textColor: colours.text,
      noteBkgColor: colours["warn-soft"],
      noteTextColor: colours.text,
      noteBorderColor: colours["line-strong"],
    },
  };
}

/** Well-formed, and with the size that it wants to have. */
function picture(svg) {
  const node = new DOMParser().parseFromString(svg, "text/html").querySelector("svg");
  const [, , width, height] = node.getAttribute("viewBox").split(/\s+/).map(Number);
  node.setAttribute("width", width);
  node.setAttribute("height", height);
  node.style.removeProperty("max-width");
  const drawn = new XMLSerializer().serializeToString(node);
  if (drawn.length > SVG_MAX) throw new RangeError("the picture is too large");
  return { svg: drawn, width: Math.ceil(width), height: Math.ceil(height) };
}
