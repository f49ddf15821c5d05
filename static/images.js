/**
 * Pictures that the team made. Whatever the file holds, it is only ever the image of an element: in one no script runs,
 * and nothing is loaded. So an SVG never becomes a document of the page's origin.
 */

import { el, setText, visible } from "./dom.js";
import { text } from "./text.js";

/**
 * @param {string} path
 * @param {string} type its media type, whatever the server calls it
 * @param {ArrayBuffer} content
 * @param {string} caption
 * @returns {Promise<Element>} the picture, or that it is none
 */
export async function picture(path, type, content, caption) {
  const words = el("figcaption", {}, caption);
  const image = el("img", { alt: text.files.picture(visible(path), caption), src: await dataUrl(new Blob([content], { type })) });
  image.addEventListener("load", () => setText(words, `${caption} · ${text.files.pixels(image.naturalWidth, image.naturalHeight)}`));
  image.addEventListener("error", () => image.replaceWith(el("p", { class: "hint" }, text.files.noPicture)));
  return el("figure", { class: "picture" }, el("div", { class: "picture-ground" }, image), words);
}

function dataUrl(blob) {
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(blob);
  });
}
