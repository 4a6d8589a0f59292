package node

// NextScrub is when a server scrubs.
var NextScrub = nextScrub
