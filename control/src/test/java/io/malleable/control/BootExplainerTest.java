package io.malleable.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Why a machine that has its drive does not get to its operating system. */
final class BootExplainerTest {
  private Fixture fixture;
  private Operation operation;

  @BeforeEach
  void powerOn(@TempDir Path directory) throws Exception {
    fixture = new Fixture(directory);
    fixture.image("golden");
    fixture.node("n1", 1);
    operation =
        fixture
            .control
            .nodes()
            .provision(project(), "n1", new BootDrive.OfImage("golden"), List.of());
    fixture.reached(operation, OperationState.WAITING);
  }

  @AfterEach
  void close() throws IOException {
    fixture.close();
  }

  private UUID project() {
    return fixture.project();
  }

  /** The firmware logs in and reads that much; then nothing happens for longer than it may. */
  private Explanation firmwareReads(long bytes) throws Exception {
    Node node = fixture.control.nodes().get(project(), "n1");
    UUID disk = node.disk().orElseThrow().id();
    BootEvents events = fixture.control.bootEvents();
    events.onScript(node.nics().getFirst(), "bios", "192.0.2.1");
    events.onLogin(disk, node.initiatorName(), Fixture.ISID_IPXE);
    events.onFirstRead(disk);
    fixture.control.timeline().drain();
    fixture.targets.setUse(disk, new Targets.Use(0, bytes, 0, 0));
    fixture.clock.advance(Duration.ofMinutes(11));
    fixture.control.tick();
    return fixture.control.nodes().explain(project(), "n1");
  }

  @Test
  void initialRamDiskWithoutIscsiIsExplainedByWhatWasReadAndWhatWasNot() throws Exception {
    Explanation why = firmwareReads(20 << 20);
    assertEquals(Optional.of(BootStage.FIRST_READ), why.reached());
    assertEquals(Optional.of(BootStage.OS_LOGIN), why.missing());
    assertTrue(why.cause().orElseThrow().startsWith("20.0 MiB were read"), why.toString());
    assertTrue(why.cause().orElseThrow().contains("lacks open-iscsi"), why.toString());
    assertTrue(why.fix().orElseThrow().endsWith("m2 image check golden"), why.toString());

    Operation ended = fixture.end(operation);
    assertEquals(OperationState.FAILED, ended.state());
    OperationError error = ended.error().orElseThrow();
    assertEquals(ErrorCode.BOOT_STALLED, error.code());
    assertTrue(error.message().contains("lacks open-iscsi"), error.message());
    assertTrue(error.hint().orElseThrow().endsWith("m2 image check golden"), error.toString());
  }

  @Test
  void imageOfAnotherProjectIsNamedAsOneMayUseItOrNotAtAll() throws Exception {
    Images images = fixture.control.images();
    UUID other = fixture.control.projects().create("other").id();
    images.change(
        project(),
        "golden",
        Optional.empty(),
        Optional.of(Image.Visibility.PUBLIC),
        Optional.empty());
    images.move(project(), "golden", "other", Optional.of("theirs"), Optional.empty());
    Explanation why = firmwareReads(20 << 20);
    assertTrue(why.fix().orElseThrow().endsWith("m2 image check other/theirs"), why.toString());
    images.change(
        other, "theirs", Optional.empty(), Optional.of(Image.Visibility.PRIVATE), Optional.empty());
    String fix = fixture.control.nodes().explain(project(), "n1").fix().orElseThrow();
    assertTrue(fix.endsWith("m2 node console n1"), fix);
  }

  @Test
  void driveWithoutALoaderIsExplainedByHowLittleWasRead() throws Exception {
    Explanation why = firmwareReads(512);
    assertTrue(why.cause().orElseThrow().contains("no loader for bios"), why.toString());
    assertTrue(
        why.fix().orElseThrow().endsWith("m2 image check golden --firmware bios"), why.toString());
  }

  @Test
  void loaderThatFindsNoKernelIsTheNextThing() throws Exception {
    Explanation why = firmwareReads(300 << 10);
    assertTrue(why.cause().orElseThrow().contains("loader found neither kernel"), why.toString());
  }

  @Test
  void machineWithoutAnOfferHearsOfItsOwnAddressOrOfThePool() {
    BootReasons reasons =
        new BootReasons(
            new Ports(
                fixture.database,
                fixture.volumes,
                fixture.targets,
                fixture.power,
                fixture.imports,
                fixture.clock));
    Node node = fixture.control.nodes().get(project(), "n1");
    Node withAddress =
        node.with(
            new NodeSpec(
                node.name(),
                node.nics(),
                node.firmware(),
                node.arch(),
                node.bmc(),
                Optional.of("10.1.0.21"),
                node.sshKeys(),
                AfterHostCrash.REBOOT));
    Boot boot =
        new Boot(
            node.id(), 1, fixture.clock.instant(), Optional.empty(), Boot.Traffic.NONE, List.of());
    fixture.database.change(rows -> {
      BootReasons.Reason ofPool = reasons.of(rows, node, boot, BootStage.DHCP_OFFER);
      assertTrue(ofPool.fix().contains("--dhcp-pool"), ofPool.toString());
      BootReasons.Reason ofAddress = reasons.of(rows, withAddress, boot, BootStage.DHCP_OFFER);
      assertTrue(ofAddress.cause().contains("10.1.0.21 is not in the network"), ofAddress.cause());
      assertTrue(ofAddress.fix().endsWith("m2 node set n1 --address IPV4"), ofAddress.fix());
    });
  }
}
