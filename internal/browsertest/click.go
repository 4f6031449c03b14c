package browsertest

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/chromedp/chromedp"
)

// Click presses what a selector names, and is done when the element received the
// press. A page that follows its invite may move an element between the moment its
// place is read and the press; a person sees that nothing happened and presses again.
func Click(selector string) chromedp.Action[chromedp.Void] {
	click := chromedp.Click(chromedp.CSS(selector))
	return func(ctx context.Context, tab *chromedp.Target) (chromedp.Void, error) {
		quoted, err := json.Marshal(selector)
		if err != nil {
			return chromedp.Void{}, err
		}
		listen := chromedp.Evaluate[bool](`(selector => {
			window.receivedClick = false;
			document.addEventListener("click", e => { if (e.target.closest(selector)) window.receivedClick = true }, { capture: true });
			return true })(` + string(quoted) + `)`)
		for {
			if _, err := listen(ctx, tab); err != nil {
				return chromedp.Void{}, err
			}
			if v, err := click(ctx, tab); err != nil {
				if strings.Contains(err.Error(), "Could not find node") {
					continue
				}
				return v, err
			}
			// A page that the click led to has no answer, and a page that is on its way gives an error.
			received, err := chromedp.Evaluate[bool](`window.receivedClick !== false`)(ctx, tab)
			if received || err != nil {
				return chromedp.Void{}, ctx.Err()
			}
		}
	}
}
