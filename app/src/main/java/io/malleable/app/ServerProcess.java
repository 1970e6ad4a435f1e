package io.malleable.app;

import java.io.IOException;
import java.io.PrintWriter;
import java.lang.System.Logger.Level;
import java.time.Duration;

/** A server as a process: says where it is, waits for the signal to stop, stops in order. */
final class ServerProcess {
  private static final System.Logger LOG = System.getLogger(ServerProcess.class.getName());

  /** Longer than all parts may take together; a store that hangs must not keep the process. */
  private static final Duration STOP_LIMIT = Duration.ofSeconds(45);

  private ServerProcess() {}

  static int run(Settings settings, PrintWriter out)
      throws StartException, IOException, InterruptedException {
    M2Server server = M2Server.start(settings);
    // The only way that a signal reaches Java; the process ends when the hook has returned.
    Runtime.getRuntime()
        .addShutdownHook(Thread.ofPlatform().name("stop").unstarted(() -> stop(server)));
    out.print(banner(settings, server));
    out.print(server.notice());
    out.flush();
    Thread.currentThread().join();
    return 0;
  }

  private static void stop(M2Server server) {
    LOG.log(Level.INFO, "stopping");
    Thread stopping = Thread.ofPlatform().name("stopping").daemon().start(server::close);
    boolean stopped = false;
    try {
      stopped = stopping.join(STOP_LIMIT);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    LOG.log(
        stopped ? Level.INFO : Level.ERROR,
        stopped
            ? "stopped"
            : "a part did not stop in " + STOP_LIMIT.toSeconds() + " s; what was flushed is safe");
    // A stop that was asked for is a success; left alone, Java says 143.
    Runtime.getRuntime().halt(stopped ? 0 : 1);
  }

  private static String banner(Settings settings, M2Server server) {
    Addresses at = server.addresses();
    String token = settings.data().resolve("admin-token").toString();
    return """
    M2 %s is ready.
      API       %s
      boot      http://%s/boot.ipxe
      iSCSI     %s
      data      %s
      token     %s
    Try, in another terminal:
      export M2_URL=%s M2_TOKEN_FILE=%s
      m2 status
    """
        .formatted(
            M2Server.version(),
            at.apiUrl(),
            at.bootHttp(),
            Addresses.joined(at.portals()),
            settings.data(),
            token,
            at.apiUrl(),
            token);
  }
}
