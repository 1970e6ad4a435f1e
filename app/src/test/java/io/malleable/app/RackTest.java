package io.malleable.app;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
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
    Namespace.run(
        RackScenario.class,
        List.of(directory.toString(), dhcp.name()),
        directory.resolve("scenario.log"),
        Duration.ofMinutes(20),
        new Namespace.Needs(
            List.of("unshare", "nsenter", "ip", "ipmi_sim", "ipmitool", "dnsmasq"),
            "util-linux, iproute2, openipmi, ipmitool and dnsmasq-base"));
  }
}
