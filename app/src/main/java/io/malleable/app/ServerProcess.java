package io.malleable.app;

import java.io.IOException;
import java.io.PrintWriter;
import java.lang.System.Logger.Level;

/** A server as a process: says where it is, waits for the signal to stop, stops in order. */
final class ServerProcess {
  private static final System.Logger LOG = System.getLogger(ServerProcess.class.getName());

  private ServerProcess() {}

  static int run(Settings settings, PrintWriter out)
      throws StartException, IOException, InterruptedException {
    M2Server server = M2Server.start(settings);
    // The only way that a signal reaches Java; the process ends when the hook has returned.
    Runtime.getRuntime()
        .addShutdownHook(
            Thread.ofPlatform()
                .name("stop")
                .unstarted(() -> {
                  LOG.log(Level.INFO, "stopping");
                  server.close();
                  LOG.log(Level.INFO, "stopped");
                  // A stop that was asked for is a success; left alone, Java says 143.
                  Runtime.getRuntime().halt(0);
                }));
    out.print(banner(settings, server));
    out.flush();
    Thread.currentThread().join();
    return 0;
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
            at.iscsi(),
            settings.data(),
            token,
            at.apiUrl(),
            token);
  }
}
