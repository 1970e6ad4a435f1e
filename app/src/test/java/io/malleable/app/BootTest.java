package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.malleable.cli.ApiClient;
import io.malleable.hardware.Firmware;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

/** Real firmware, real boot loaders, a real kernel, a real server process. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class BootTest {
  private static final Duration PHONE_HOME_LIMIT = Duration.ofMinutes(2);

  /** What a machine without DHCP of ours goes through, in this order. */
  private static final List<String> STAGES =
      List.of("power-on", "boot-script", "firmware-login", "first-read", "os-login", "ready");

  private final BootLab lab;

  BootTest() throws IOException {
    lab = BootLab.start();
  }

  @BeforeAll
  void report() {
    System.out.println("boot tests run in " + lab.base());
  }

  @AfterAll
  void stop() throws IOException {
    lab.close();
  }

  @Test
  void biosMachineBootsAndItsSecondBootFindsWhatTheFirstWrote() throws Exception {
    Guest guest = lab.addMachine("bios", Firmware.BIOS);
    ApiClient.Answer provision = lab.provision("bios", "image", BootLab.IMAGE);
    assertEquals(1, guest.awaitReady());
    lab.await(provision);
    assertStagesInOrder("bios");
    guest.run("echo 'kept over boots' >/root/note && sync");

    String disk = lab.node("bios").path("disk").asText();
    lab.release("bios");
    ApiClient.Answer again = lab.provision("bios", "disk", disk);
    assertEquals(2, guest.awaitReady(), "the disk counted the first boot");
    assertEquals("kept over boots", guest.run("cat /root/note"));
    lab.await(again);
    lab.release("bios");
  }

  @Test
  void uefiMachineBootsTheSameImage() {
    Guest guest = lab.addMachine("uefi", Firmware.UEFI);
    ApiClient.Answer provision = lab.provision("uefi", "image", BootLab.IMAGE);
    assertEquals(1, guest.awaitReady());
    assertTrue(guest.console().contains("firmware=uefi"), guest.consoleTail());
    lab.await(provision);
    assertStagesInOrder("uefi");
    lab.release("uefi");
  }

  /**
   * The first machine has no power driver, so the server cannot switch it off: it still runs, and
   * writes, when its disk moves.
   */
  @Test
  void failoverCutsTheFirstMachineOffBeforeTheOtherStartsFromItsDisk() throws Exception {
    Guest first = lab.addMachine("first", Firmware.BIOS);
    Guest second = lab.addMachine("second", Firmware.BIOS);
    lab.api().patch(lab.api().object().putNull("bmc"), "/v1/nodes/{}", "first");
    ApiClient.Answer provision = lab.bind("first", "image", BootLab.IMAGE);
    first.power().on();
    assertEquals(1, first.awaitReady());
    lab.await(provision);
    first.startWriter();
    String disk = lab.node("first").path("disk").asText();

    ApiClient.Answer failover =
        lab.api().post(lab.api().object().put("to", "second"), "/v1/nodes/{}/failover", "first");
    lab.awaitBoot("second", 1);
    int toldByFirst = first.written();
    assertEquals(2, second.awaitReady(), "it is the same disk");
    lab.await(failover);
    assertEquals(disk, lab.node("second").path("disk").asText());
    assertFalse(lab.node("first").hasNonNull("disk"));

    assertEquals(
        toldByFirst, first.written(), "the first machine wrote on after the second had power");
    int found = Integer.parseInt(second.run("cat /root/records.told"));
    assertTrue(
        found == toldByFirst || found == toldByFirst + 1,
        "durable for the first: %d, found by the second: %d".formatted(toldByFirst, found));

    first.power().cycle();
    first.await(Pattern.compile("(?i)not provisioned|m2 node provision"));
    assertFalse(first.console().contains("Registered SAN device"), first.consoleTail());
    first.power().off();
    lab.release("second");
  }

  private void assertStagesInOrder(String node) {
    lab.awaitStage(node, "ready", PHONE_HOME_LIMIT);
    String timeline = lab.timeline(node);
    System.out.println(timeline);
    Instant before = Instant.EPOCH;
    for (String stage : STAGES) {
      Instant at = lab.stage(node, stage);
      assertFalse(at.isBefore(before), stage + " came too early:\n" + timeline);
      before = at;
    }
    JsonNode stages = lab.node(node).path("bootTimeline");
    assertTrue(stages.path(stages.size() - 1).path("readBytes").asLong() > 0, "bytes are counted");
  }
}
