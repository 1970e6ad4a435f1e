/**
 * A listener for HTTP/1.1 that bounds what a peer can take: connections, time, memory.
 *
 * <p>{@link io.malleable.http.HttpListener} accepts, and answers 503 when it has no room. {@code
 * HttpConnection} is one client with its deadlines, {@code RefusedConnections} are those who have
 * been answered 503 and have not gone yet. The protocol is Helidon's, by {@code HttpEngine}; what
 * is served is a {@code Handler} of whoever starts the listener.
 */
@NullMarked
package io.malleable.http;

import org.jspecify.annotations.NullMarked;
