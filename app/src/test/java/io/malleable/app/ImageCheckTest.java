package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.malleable.cli.ImageCheckCommand;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** {@code m2 image check} of the small image, whole and with one thing broken each. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class ImageCheckTest {
  private Path directory;
  private Path scratch;
  private TestServer server;
  private Map<String, String> environment;

  @BeforeAll
  void start(@TempDir Path temporary) throws Exception {
    directory = temporary;
    scratch = Files.createDirectory(directory.resolve("scratch"));
    server = TestServer.start(directory.resolve("data"));
    environment = new HashMap<>(server.environment());
    environment.put("TMPDIR", scratch.toString());
    Outcome imported =
        run("image", "import", "tiny", TinyVariant.copy(directory, "tiny").file().toString());
    assertEquals(0, imported.status(), imported.err());
    assertTrue(imported.out().contains("m2 image check tiny"), imported.out());
  }

  @AfterAll
  void stop() {
    server.close();
  }

  private Outcome run(String... words) {
    return Outcome.of(
        environment,
        Map.of("image check", () -> new ImageCheckCommand(new LocalImageCheck())),
        words);
  }

  private static List<String> codes(JsonNode report, String severity) {
    List<String> codes = new ArrayList<>();
    for (JsonNode finding : report.path("findings")) {
      if (finding.path("severity").asText().equals(severity)) {
        codes.add(finding.path("code").asText());
      }
    }
    return codes;
  }

  /** What blocks a changed image, which must be all that does. */
  private void blocks(TinyVariant variant, String code, String text) throws Exception {
    Outcome outcome = run("image", "check", variant.file().toString(), "-o", "json");
    assertEquals(1, outcome.status());
    assertTrue(outcome.err().contains("does not boot this way"), outcome.err());
    assertEquals(List.of(code), codes(outcome.json(), "blocks"), outcome.out());
    assertTrue(outcome.out().contains(text), outcome.out());
  }

  @Test
  void smallImageBootsWithBothFirmwaresAsServerAndFileSay() throws Exception {
    Path file = directory.resolve("tiny.raw");
    for (String firmware : List.of("bios", "uefi")) {
      Outcome ofServer =
          run("image", "check", "--image", "tiny", "--firmware", firmware, "-o", "json");
      assertEquals(0, ofServer.status(), ofServer.err());
      assertEquals("boots", ofServer.json().path("verdict").asText());
      assertEquals(2, ofServer.json().path("firmware").size());
      assertEquals(List.of(), codes(ofServer.json(), "blocks"));
      Outcome ofFile = run("image", "check", file.toString(), "--firmware", firmware, "-o", "json");
      assertEquals(ofServer.json(), ofFile.json());
    }
    Outcome shown = run("image", "check", "tiny");
    assertEquals(0, shown.status(), shown.err());
    assertTrue(
        shown.out().startsWith("image tiny: nothing found that would stop it from booting"),
        shown.out());
    assertTrue(shown.out().lines().allMatch(line -> line.length() <= 100), shown.out());
  }

  @Test
  void answerOfTheServerIsTheOneItDescribes() throws Exception {
    String[] key = {"Idempotency-Key", "3f0c"};
    JsonNode report = server.api().post("/v1/images/tiny/check", "", key).expect(200).body();
    assertEquals("boots", report.path("verdict").asText());
    server
        .api()
        .post("/v1/images/tiny/check?firmware=coreboot", "", key)
        .expectProblem(400, "PARAMETER_INVALID");
    server.api().post("/v1/images/none/check", "").expectProblem(404, "NOT_FOUND");
  }

  @Test
  void fileThatIsNotRawIsUnpackedForItAndNothingIsLeft() throws Exception {
    Path packed = directory.resolve("tiny.qcow2");
    Process convert =
        new ProcessBuilder(
                "qemu-img",
                "convert",
                "-O",
                "qcow2",
                directory.resolve("tiny.raw").toString(),
                packed.toString())
            .inheritIO()
            .start();
    assertEquals(0, convert.waitFor());
    Outcome outcome = run("image", "check", packed.toString(), "-o", "json");
    assertEquals(0, outcome.status(), outcome.err());
    assertEquals("boots", outcome.json().path("verdict").asText());
    try (Stream<Path> left = Files.list(scratch)) {
      assertEquals(List.of(), left.toList());
    }
  }

  @Test
  void missingModuleIsFound() throws Exception {
    blocks(
        TinyVariant.copy(directory, "module")
            .initramfs("rm lib/modules/iscsi_tcp.ko; sed -i /iscsi_tcp/d lib/modules/order"),
        "ISCSI_MODULES_MISSING",
        "lacks the kernel modules iscsi_tcp.");
  }

  @Test
  void missingNicDriversAreFound() throws Exception {
    blocks(
        TinyVariant.copy(directory, "nic")
            .initramfs("rm -f lib/modules/virtio_net.ko lib/modules/e1000*.ko"),
        "NIC_DRIVERS_MISSING",
        "no driver for a network card");
  }

  @Test
  void initThatDoesNotLogInIsFound() throws Exception {
    blocks(
        TinyVariant.copy(directory, "init")
            .initramfs("rm sbin/iscsistart; sed -i /iscsistart/d init"),
        "ISCSI_PROGRAM_MISSING",
        "has no iscsistart");
  }

  @Test
  void missingLoaderIsFoundForTheFirmwareThatNeedsIt() throws Exception {
    TinyVariant variant = TinyVariant.copy(directory, "efi").withoutEfiLoader();
    Outcome either = run("image", "check", variant.file().toString(), "-o", "json");
    assertEquals(0, either.status(), either.err());
    assertTrue(codes(either.json(), "warning").contains("EFI_LOADER_MISSING"), either.out());
    Outcome uefi =
        run("image", "check", variant.file().toString(), "--firmware", "uefi", "-o", "json");
    assertEquals(1, uefi.status());
    assertEquals(List.of("EFI_LOADER_MISSING"), codes(uefi.json(), "blocks"));
  }

  @Test
  void rootByTheNameOfADriveIsFound() throws Exception {
    blocks(
        TinyVariant.copy(directory, "root").menu("console=tty0", "root=/dev/vda3 console=tty0"),
        "ROOT_DEVICE_NAME",
        "/dev/vda3");
    TinyVariant scsi =
        TinyVariant.copy(directory, "scsi").menu("console=tty0", "root=/dev/sda1 console=tty0");
    Outcome outcome = run("image", "check", scsi.file().toString(), "-o", "json");
    assertTrue(codes(outcome.json(), "warning").contains("ROOT_DEVICE_NAME"), outcome.out());
  }

  @Test
  void driveThatIsCutOffIsRefusedAsAnImportWouldRefuseIt() throws Exception {
    TinyVariant variant = TinyVariant.copy(directory, "cut").cutTo(100);
    Outcome outcome = run("image", "check", variant.file().toString());
    assertEquals(1, outcome.status());
    assertTrue(outcome.err().contains("truncated"), outcome.err());
  }

  @Test
  void garbageIsNoImage() throws Exception {
    Path file =
        Files.write(
            directory.resolve("garbage.raw"),
            "not a drive".repeat(10_000).getBytes(StandardCharsets.UTF_8));
    Outcome outcome = run("image", "check", file.toString());
    assertEquals(1, outcome.status());
    assertTrue(outcome.err().contains("is not an image"), outcome.err());
    Outcome forced = run("image", "check", file.toString(), "--format", "raw", "-o", "json");
    assertEquals(1, forced.status());
    assertEquals(List.of("NOT_A_DRIVE"), codes(forced.json(), "blocks"));
  }

  @Test
  void rootThatCannotBeLookedIntoIsNotCalledGood() throws Exception {
    TinyVariant xfs = TinyVariant.copy(directory, "xfs").rootOf("XFSB");
    Outcome outcome = run("image", "check", xfs.file().toString());
    assertEquals(1, outcome.status());
    assertTrue(outcome.out().contains("Cannot look inside partition 3 (xfs)"), outcome.out());
    assertTrue(outcome.err().contains("is not known"), outcome.err());
    TinyVariant encrypted = TinyVariant.copy(directory, "luks").rootOf("LUKS\\272\\276");
    Outcome locked = run("image", "check", encrypted.file().toString(), "-o", "json");
    assertEquals(1, locked.status());
    assertEquals("unknown", locked.json().path("verdict").asText());
    assertTrue(codes(locked.json(), "unknown").contains("ENCRYPTED"), locked.out());
  }

  @Test
  void whatIsNeitherFileNorImageIsSaidSo() {
    Outcome file = run("image", "check", "./nothing.raw");
    assertEquals(1, file.status());
    assertTrue(file.err().contains("does not exist"), file.err());
    Outcome image = run("image", "check", "nothing");
    assertEquals(1, image.status());
    assertTrue(image.err().contains("There is no image 'nothing'"), image.err());
    Outcome foreign = run("image", "check", "elsewhere/nothing");
    assertEquals(1, foreign.status());
    assertTrue(foreign.err().contains("There is no image 'elsewhere/nothing'"), foreign.err());
    Outcome misused = run("image", "check", "nothing", "--format", "raw");
    assertEquals(2, misused.status());
    assertFalse(misused.err().isEmpty());
  }
}
