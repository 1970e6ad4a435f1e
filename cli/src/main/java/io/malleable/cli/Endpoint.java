package io.malleable.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Which server a command talks to, and as whom.
 *
 * @param url {@code http} or {@code https}, without a path
 * @param token what the server asks for; absent when none was found, which the server will say
 * @param project the project to act in
 */
public record Endpoint(URI url, @Nullable String token, String project) {
  private static final int DEFAULT_PORT = 8480;

  /**
   * Reads {@code M2_URL}, {@code M2_TOKEN}, {@code M2_TOKEN_FILE} and {@code M2_PROJECT}. Without a
   * token the admin token of this user's own server is taken, and without a URL the address where
   * that server listens; it is found in {@code M2_DATA} or the default data directory. That token
   * never goes to another machine.
   */
  public static Endpoint of(Map<String, String> environment) {
    Path data = defaultDataDirectory(environment);
    String text = given(environment, "M2_URL");
    URI url = text != null ? parse(text) : runningAt(data);
    String token = given(environment, "M2_TOKEN");
    String tokenFile = given(environment, "M2_TOKEN_FILE");
    if (token == null && tokenFile != null) {
      token = readToken(Path.of(tokenFile));
    } else if (token == null && isThisMachine(url)) {
      token = readTokenIfThere(data.resolve("admin-token"));
    }
    String project = given(environment, "M2_PROJECT");
    return new Endpoint(url, token, project == null ? "default" : project);
  }

  /**
   * Where {@code m2 serve} keeps its data when it is not told: {@code M2_DATA}, else below the
   * user's data directory.
   */
  public static Path defaultDataDirectory(Map<String, String> environment) {
    String data = given(environment, "M2_DATA");
    if (data != null) {
      return Path.of(data);
    }
    String dataHome = given(environment, "XDG_DATA_HOME");
    if (dataHome != null) {
      return Path.of(dataHome, "m2");
    }
    String home = environment.getOrDefault("HOME", System.getProperty("user.home", "/"));
    return Path.of(home, ".local", "share", "m2");
  }

  /** Whether the server runs on this machine, so that paths mean the same to it. */
  public boolean isThisMachine() {
    return isThisMachine(url);
  }

  /** The same in another project, if one is given. */
  Endpoint withProject(@Nullable String other) {
    return other == null ? this : new Endpoint(url, token, other);
  }

  /** The same at another address; the token is looked up anew. */
  Endpoint at(String address, Map<String, String> environment) {
    Map<String, String> changed = new HashMap<>(environment);
    changed.put("M2_URL", address);
    return of(changed).withProject(project);
  }

  /** Secrets stay out of messages. */
  @Override
  public String toString() {
    return url + " (project " + project + ")";
  }

  private static @Nullable String given(Map<String, String> environment, String name) {
    String value = environment.get(name);
    return value == null || value.isBlank() ? null : value.strip();
  }

  private static boolean isThisMachine(URI url) {
    String host = HttpConnection.bareHost(url);
    return host.equals("localhost") || host.equals("::1") || host.matches("127(\\.[0-9]{1,3}){3}");
  }

  private static URI parse(String text) {
    try {
      URI url = URI.create(text);
      boolean web = "http".equals(url.getScheme()) || "https".equals(url.getScheme());
      boolean rootOnly = "".equals(url.getRawPath()) || "/".equals(url.getRawPath());
      if (web
          && url.getHost() != null
          && rootOnly
          && url.getRawQuery() == null
          && url.getRawUserInfo() == null) {
        return URI.create(url.getScheme() + "://" + url.getRawAuthority());
      }
    } catch (IllegalArgumentException e) {
      // Falls through: one message for everything that is no such URL.
    }
    throw new CommandFailure(
        "M2_URL is \"" + text + "\", which is not the address of an M2 server",
        "Give scheme, host and port only, such as http://127.0.0.1:8480.");
  }

  /** The address that a server wrote into its data directory; the usual one when there is none. */
  private static URI runningAt(Path data) {
    URI usual = URI.create("http://127.0.0.1:" + DEFAULT_PORT);
    Path file = data.resolve("run.json");
    if (!Files.isReadable(file)) {
      return usual;
    }
    try {
      JsonNode run = new JsonMapper().readTree(file.toFile());
      String http = run.path("http").asText("").replaceFirst("^https?://", "");
      int colon = http.lastIndexOf(':');
      boolean alive = Files.exists(Path.of("/proc", run.path("pid").asText("none")));
      if (!alive || colon < 0) {
        return usual;
      }
      // A server that listens on all addresses listens on this machine's own.
      String host = http.substring(0, colon);
      boolean wildcard = host.equals("0.0.0.0") || host.equals("[::]") || host.equals("::");
      return URI.create("http://" + (wildcard ? "127.0.0.1" : host) + http.substring(colon));
    } catch (IOException | IllegalArgumentException e) {
      return usual;
    }
  }

  private static @Nullable String readTokenIfThere(Path file) {
    return Files.isReadable(file) ? readToken(file) : null;
  }

  private static String readToken(Path file) {
    try {
      String token = Files.readString(file).strip();
      if (!token.isEmpty() && token.chars().allMatch(c -> c > ' ' && c < 0x7f)) {
        return token;
      }
    } catch (NoSuchFileException e) {
      throw new CommandFailure(
          "the token file " + file + " does not exist", "Set M2_TOKEN_FILE to one that does.", e);
    } catch (IOException e) {
      throw new CommandFailure(
          "the token file " + file + " cannot be read: " + Failures.reason(e),
          "Set M2_TOKEN_FILE to one that can.",
          e);
    }
    throw new CommandFailure(
        "the token file " + file + " does not hold one line of printable characters",
        "Set M2_TOKEN_FILE to one that does.");
  }
}
