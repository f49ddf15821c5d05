/** A text as people read it, as the server does it for its searches. No DOM here. */

/** Of JSON, also of JSON within it, the names and values, a line each; any other text as it is. @param {string} text */
export function readable(text) {
  const lines = [];
  const left = [["", text]];
  while (left.length) {
    const [name, told] = left.pop();
    const value = typeof told === "string" ? documentOf(told) : told;
    if (value !== null && typeof value === "object") {
      if (name) lines.push(`${name}:`);
      const parts = Array.isArray(value) ? value.map((item) => ["", item]) : Object.entries(value);
      for (const part of parts.reverse()) left.push(part);
    } else if (value !== null) lines.push(name ? `${name}: ${value}` : String(value));
  }
  return lines.join("\n");
}

function documentOf(text) {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
