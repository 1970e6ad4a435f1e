package io.malleable.http;

import io.helidon.webserver.http.ServerRequest;

/** The path that a request asks for. */
public final class RequestPath {
  private static final String SCHEME = "http://";

  private RequestPath() {}

  /**
   * As it came, with its escapes, from either form of a request target (RFC 9112 3.2.2: a server
   * accepts the absolute one as well). Where the target is neither, as in {@code OPTIONS *}, it is
   * the whole target.
   */
  public static String raw(ServerRequest request) {
    return ofTarget(request.prologue().uriPath().rawPath());
  }

  static String ofTarget(String target) {
    if (!target.regionMatches(true, 0, SCHEME, 0, SCHEME.length())) {
      return target;
    }
    int slash = target.indexOf('/', SCHEME.length());
    return slash < 0 ? "/" : target.substring(slash);
  }
}
