package io.malleable.netboot;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Boot scripts as real firmware understands them: iPXE, on BIOS and through OVMF. */
class BootFirmwareTest {
  private static final Duration DEADLINE = Duration.ofMinutes(3);
  private static final MacAddress MAC = MacAddress.parse("52:54:00:77:00:01").orElseThrow();
  private static final String INITIATOR = "iqn.2026-11.io.malleable.node:test-1";
  private static final String TARGET = "iqn.2026-11.io.malleable:test-2";

  @TempDir Path directory;

  @ParameterizedTest
  @EnumSource(
      value = Firmware.class,
      names = {"BIOS", "UEFI"})
  void waitingMachinePicksUpItsDriveAndComesBackWhenItFails(Firmware firmware) throws Exception {
    AtomicReference<BootPlan> plan = new AtomicReference<>(new BootPlan.Unknown());
    List<BootListener.ScriptServed> scripts = new CopyOnWriteArrayList<>();
    List<BootListener.DriveFailed> failures = new CopyOnWriteArrayList<>();
    BootListener listener =
        new BootListener() {
          @Override
          public void onScript(ScriptServed event) {
            scripts.add(event);
          }

          @Override
          public void onDriveFailed(DriveFailed event) {
            failures.add(event);
          }
        };
    BootHttpConfig config =
        new BootHttpConfig(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            Optional.empty(),
            LoaderDirectory.ofDistribution(),
            Duration.ofSeconds(1));
    try (FakePortal portal = new FakePortal();
        BootHttpServer server =
            BootHttpServer.start(
                config,
                (mac, _) -> mac.equals(MAC) ? plan.get() : new BootPlan.Unknown(),
                listener);
        QemuMachine machine =
            QemuMachine.start(
                directory,
                firmware,
                MAC,
                "user,id=n0,ipv4=on,ipv6=on,bootfile=http://10.0.2.2:"
                    + server.address().getPort()
                    + "/boot.ipxe",
                "")) {
      Eventually.holds("asks again while unknown", DEADLINE, () -> scripts.size() >= 2);
      plan.set(provisioned(portal.port()));
      Eventually.holds("comes back after the drive failed", DEADLINE, () -> failures.size() >= 2);

      List<String> login = portal.logins().getFirst();
      assertTrue(login.contains("InitiatorName=" + INITIATOR), login.toString());
      assertTrue(login.contains("TargetName=" + TARGET), login.toString());
      assertTrue(scripts.getFirst().firmware() == firmware, scripts.getFirst().toString());
      assertTrue(scripts.getFirst().uuid().isPresent(), scripts.getFirst().toString());
      String console = machine.console();
      assertTrue(console.contains("m2 node add NAME --mac " + MAC), console);
      assertTrue(console.contains("the drive did not boot"), console);
    }
  }

  private static BootPlan provisioned(int port) {
    return new BootPlan.Provisioned(
        "n1",
        INITIATOR,
        new BootPlan.DriveTarget(TARGET, 0, List.of(Portal.sameHost(port))),
        Optional.of(new ChapCredentials("user", "AbcdefghijklmnopqrstuvW1")),
        Optional.of(new ChapCredentials("target", "ZbcdefghijklmnopqrstuvW2")));
  }
}
