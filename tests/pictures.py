"""The smallest of pictures."""

import base64

PNG = base64.b64decode(  # 3 by 2 pixels
    "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAIAAAASFvFNAAAAEElEQVR4nGMwSJgAQQxwFgBBVAbBHq+J1AAAAABJRU5ErkJggg=="
)
