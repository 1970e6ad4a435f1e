package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.malleable.cli.ApiClient;
import io.malleable.hardware.Firmware;
import java.io.IOException;
import java.nio.file.Path;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** A machine that boots, all the same, an image without iSCSI in its initramfs. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class BootWithoutIscsiTest {
  private static final String IMAGE = "without-iscsi";

  private BootLab lab;

  @BeforeAll
  void start(@TempDir Path directory) throws Exception {
    lab = BootLab.start();
    lab.importImage(
        IMAGE,
        TinyVariant.copy(directory, IMAGE)
            .initramfs(
                "rm sbin/iscsistart sbin/iscsid lib/modules/iscsi_tcp.ko;"
                    + " sed -i -e /iscsi_tcp/d lib/modules/order;"
                    + " sed -i 's/say \"initramfs/say \"without iSCSI/' init")
            .file());
  }

  @AfterAll
  void stop() throws IOException {
    lab.close();
  }

  @Test
  void checkTellsItBeforeAndTheTimelineAfterwards() throws Exception {
    JsonNode report = lab.api().post(null, "/v1/images/{}/check", IMAGE).body();
    assertEquals("blocked", report.path("verdict").asText(), report.toPrettyString());

    Guest guest = lab.addMachine("deaf", Firmware.BIOS);
    ApiClient.Answer provision = lab.provision("deaf", "image", IMAGE);
    guest.await(Pattern.compile("M2 without iSCSI"));

    JsonNode why = lab.api().get("/v1/nodes/{}/explain", "deaf");
    assertEquals("first-read", why.path("reached").asText(), why.toPrettyString());
    assertEquals("os-login", why.path("missing").asText(), why.toPrettyString());
    assertTrue(
        why.path("summary").asText().matches(".*; \\d+\\.\\d MiB read and .*"),
        why.toPrettyString());
    assertFalse(lab.timeline("deaf").contains("os-login"), lab.timeline("deaf"));
    String operation = provision.body().path("id").asText();
    JsonNode waiting = lab.api().get("/v1/operations/{}", operation);
    assertEquals("waiting", waiting.path("state").asText(), waiting.toPrettyString());
    assertTrue(provision.isAccepted());
    lab.release("deaf");
  }
}
