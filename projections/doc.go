// Package projections is the read side: it folds the event log into read models and answers queries from them. Live
// update, rebuild and publishing on the bus are one function, CatchUp. It declares the ports it needs and knows no
// technology; it never issues commands.
package projections
