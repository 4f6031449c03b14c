// Package mint turns "this user, this app" into a connect link that is ready
// to be stored: a token from Pipedream with a narrow scope, its URL with app
// and oauthAppId appended, a webhook secret of its own, sealed and hashed.
//
// It also knows the catalogue of apps. It holds no SQL and decides nothing
// about invites: callers store what it returns, in their own transaction.
package mint
