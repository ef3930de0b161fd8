// Package freshness tracks, for each namespace, how current its watches are and whether its objects can be read
// ([Tracker]). It also helps a watch without events to reach a later resourceVersion soon ([Advancer]).
package freshness
