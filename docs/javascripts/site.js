// What the theme leaves out: names and focus for screen readers and keyboards, options on one line.
document$.subscribe(() => {
  document.querySelector(".md-search").setAttribute("aria-label", "Search")
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap")) table.tabIndex = 0

  const commands = ".language-sh code, .language-console code, .md-content :not(pre) > code"
  for (const code of document.querySelectorAll(commands)) {
    const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT)
    const texts = []
    while (walker.nextNode()) texts.push(walker.currentNode)
    for (const text of texts) {
      if (text.parentElement.matches(".go, .c1")) continue
      const parts = text.data.split(/((?<!\S)--?[a-z][\w-]*)/)
      text.replaceWith(...parts.map((part, place) => {
        if (place % 2 == 0) return part
        const option = document.createElement("span")
        option.className = "option"
        option.textContent = part
        return option
      }))
    }
  }
})
