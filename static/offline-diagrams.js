/** The frame in which diagrams are drawn, made of what came along in the page. */

/** @returns {Promise<{srcdoc: string}>} */
export async function diagramFrame() {
  const packed = JSON.parse(document.querySelector('script[data-kind="diagrams"]').textContent);
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = await new Response(plain, { headers: { "Content-Type": "text/javascript" } }).blob();
  // The frame has the policy of this page.
  const { nonce } = document.querySelector("script[nonce]");
  return { srcdoc: `<!doctype html><meta charset="utf-8"><body><script nonce="${nonce}" src="${await dataUrl(script)}"></script></body>` };
}

function dataUrl(blob) {
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(blob);
  });
}
