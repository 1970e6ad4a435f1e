package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A rack whose servers look like metal: BMCs, firmware, a segment, our DHCP and TFTP. It runs in a
 * network namespace of its own, so it needs root, or the right to make user namespaces.
 */
class RackTest {
  @TempDir Path directory;

  @Test
  void aRackBootsByItsBmcsAndOurDhcpAndItsSystemsKnowWhoTheyAre() throws Exception {
    run(RackScenario.Dhcp.SERVER);
  }

  @Test
  void theSameRackBootsBesideSomebodyElsesDhcpServer() throws Exception {
    run(RackScenario.Dhcp.PROXY);
  }

  private void run(RackScenario.Dhcp dhcp) throws Exception {
    for (String program : List.of("unshare", "nsenter", "ip", "ipmi_sim", "ipmitool", "dnsmasq")) {
      assertTrue(
          List.of("/usr/bin", "/bin", "/usr/sbin", "/sbin").stream()
              .anyMatch(place -> Files.isExecutable(Path.of(place, program))),
          program + " is missing: install util-linux, iproute2, openipmi, ipmitool, dnsmasq-base");
    }
    boolean root = System.getProperty("user.name").equals("root");
    List<String> command =
        List.of(
            "unshare",
            root ? "-nm" : "-Urnm",
            "--kill-child",
            "--fork",
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xmx256m",
            "-cp",
            System.getProperty("java.class.path"),
            RackScenario.class.getName(),
            directory.toString(),
            dhcp.name());
    Path log = directory.resolve("scenario.log");
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    try {
      boolean ended = process.waitFor(20, TimeUnit.MINUTES);
      String said = Files.readString(log);
      System.out.println(said);
      assertTrue(ended, () -> "the scenario hangs:\n" + said);
      assertEquals(0, process.exitValue(), said);
    } finally {
      process.destroyForcibly().onExit().join();
    }
  }
}
