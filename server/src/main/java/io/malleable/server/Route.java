package io.malleable.server;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * One call of the API.
 *
 * @param path segments between slashes; {@code {name}} stands for any one segment
 * @param query the query parameters that the call takes; others are refused
 * @param open whether it needs no token
 */
record Route(String method, String path, Set<String> query, boolean open, Handler handler) {
  /** What answers a call. Runs on a virtual thread of its own and may block. */
  interface Handler {
    Answer handle(Call call) throws Exception;
  }

  static Route of(String method, String path, Handler handler, String... query) {
    return new Route(method, path, Set.of(query), false, handler);
  }

  static Route open(String method, String path, Handler handler) {
    return new Route(method, path, Set.of(), true, handler);
  }

  /** The values of the path's variables if the segments fit. */
  Optional<Map<String, String>> match(List<String> segments) {
    String[] pattern = path.substring(1).split("/", -1);
    if (pattern.length != segments.size()) {
      return Optional.empty();
    }
    Map<String, String> variables = new TreeMap<>();
    for (int i = 0; i < pattern.length; i++) {
      String segment = segments.get(i);
      if (pattern[i].startsWith("{")) {
        if (segment.isEmpty()) {
          return Optional.empty();
        }
        variables.put(pattern[i].substring(1, pattern[i].length() - 1), segment);
      } else if (!pattern[i].equals(segment)) {
        return Optional.empty();
      }
    }
    return Optional.of(variables);
  }
}
