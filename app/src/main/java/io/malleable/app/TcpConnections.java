package io.malleable.app;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/** Counts connections to one of our ports where a listener does not: in the kernel's own table. */
final class TcpConnections {
  private static final System.Logger LOG = System.getLogger(TcpConnections.class.getName());

  /** Of this network namespace, see proc(5); {@code sl local_address rem_address st ...}. */
  private static final List<Path> TABLES =
      List.of(Path.of("/proc/self/net/tcp"), Path.of("/proc/self/net/tcp6"));

  private static final String ESTABLISHED = "01";
  private static final String CLOSE_WAIT = "08";

  private TcpConnections() {}

  /** Those that are established, or that the peer has ended and we have not. */
  static int to(int port) {
    int count = 0;
    for (Path table : TABLES) {
      try {
        count += count(Files.readAllLines(table, StandardCharsets.US_ASCII), port);
      } catch (IOException e) {
        // Without IPv6 there is no table of it; without descriptors nothing can be told.
        LOG.log(Level.DEBUG, "the connections in " + table + " are not known", e);
      }
    }
    return count;
  }

  static int count(List<String> table, int port) {
    String local = String.format(Locale.ROOT, ":%04X", port);
    int count = 0;
    for (String line : table) {
      String[] fields = line.strip().split("\\s+", 5);
      if (fields.length > 4
          && fields[1].endsWith(local)
          && (fields[3].equals(ESTABLISHED) || fields[3].equals(CLOSE_WAIT))) {
        count++;
      }
    }
    return count;
  }
}
