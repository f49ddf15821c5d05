// Every visible text whose contrast to the ground it stands on is below `least`; half-transparent grounds are blended.
(least) => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

  const blend = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
    }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };

  // Relative luminance as WCAG 2.2 defines it.
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((value) => value / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };

  const grounds = (node) => (node ? [...grounds(node.parentElement), getComputedStyle(node).backgroundColor] : []);
  const isSeen = (node) => node.checkVisibility({ visibilityProperty: true }) && !node.closest(":disabled, .visually-hidden, .skip");

  const low = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const words = texts.currentNode.data.trim();
    const node = texts.currentNode.parentElement;
    if (!words || !isSeen(node)) continue;
    const stack = grounds(node);
    const [ground, ink] = [luminance(blend(stack)), luminance(blend([...stack, getComputedStyle(node).color]))];
    const contrast = (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
    if (contrast < least) low.add(`${contrast.toFixed(2)} ${node.className}: ${words.slice(0, 40)}`);
  }
  return [...low];
};
