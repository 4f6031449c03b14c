// Package compose makes what a recipient reads from an invite and its project: the
// variables of a message, its rendering, and the data of the link's page. Dispatch sends
// the message and package linkpage shows the page; the previews of the API, the console
// and the command `templates check` use the same functions, so that a preview equals
// the message and the page.
//
// It decides which fields of an invite a message or a page has. The wording is in
// the templates, the layout in packages message and page.
//
// # How to add a variable
//
// Add the field to Invite or Message, fill message.Vars from it in vars, and give
// the field its value where a Message is made: in dispatch (the sealed row), issue (a
// request that was not created), console (a stored invite, masked) and cmd (trial
// values). TestEveryVariableIsFilled fails for a variable that nothing fills. A field of
// the page goes the same way: Page, Data, and linkpage, issue and console, which make
// a Page.
package compose
