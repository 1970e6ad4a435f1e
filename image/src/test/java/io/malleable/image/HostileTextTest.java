package io.malleable.image;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** Settings that somebody wrote to make the check take for ever, or take all memory. */
final class HostileTextTest {
  private static final int CHARS = 64 << 10;

  static final List<Pattern> PATTERNS =
      List.of(
          NetworkCheck.INTERFACE,
          NetworkCheck.STARTED,
          NetworkCheck.NETPLAN_ADDRESS,
          NetworkCheck.NETPLAN_CRITICAL,
          NetworkCheck.NETPLAN_NETWORK_MANAGER,
          NetworkCheck.NETWORKD_ADDRESS,
          NetworkCheck.NETWORKD_KEEPS,
          NetworkCheck.NETWORKD_OTHER_LINK,
          NetworkCheck.NETWORKD_NAME,
          NetworkCheck.NETWORK_MANAGER_DROPS,
          SystemCheck.TIMEOUT,
          InitramfsCheck.AUTO,
          CloudInitCheck.SOURCES,
          CloudInitCheck.NETWORK_DISABLED);

  /** Counts how often a character is looked at. */
  private static final class Counted implements CharSequence {
    private final String text;
    private final long most;
    private long looks;

    Counted(String text, long most) {
      this.text = text;
      this.most = most;
    }

    @Override
    public int length() {
      return text.length();
    }

    @Override
    public char charAt(int index) {
      if (++looks > most) {
        throw new AssertionError(
            "more than " + most + " looks at " + text.length() + " characters");
      }
      return text.charAt(index);
    }

    @Override
    public CharSequence subSequence(int start, int end) {
      return text.subSequence(start, end);
    }

    @Override
    public String toString() {
      return text;
    }
  }

  private static String filled(String beginning, String filler) {
    return beginning + filler.repeat(CHARS / filler.length());
  }

  @ParameterizedTest
  @FieldSource("PATTERNS")
  void searchCostsNoMoreThanTheLengthOfTheText(Pattern pattern) {
    List<String> beginnings =
        List.of(
            "",
            "iface",
            "iface a",
            "iface a inet",
            "auto",
            "dhcp4:",
            "critical:",
            "renderer:",
            "keep-configuration",
            "keep-configuration=",
            "node.session.timeo.replacement_timeout",
            "node.session.timeo.replacement_timeout=",
            "datasource_list:",
            "datasource_list: [",
            "datasource_list:\n -",
            "datasource_list:\n - a",
            "network:",
            "network: {",
            "network: {config:");
    List<String> fillers =
        Stream.concat(
                Stream.of("\n", " ", "\t\n", "a", "- a\n", " \n"),
                beginnings.stream().filter(b -> !b.isEmpty()).map(b -> b + "\n"))
            .toList();
    for (String beginning : beginnings) {
      for (String filler : fillers) {
        String text = filled(beginning, filler);
        Matcher matcher = pattern.matcher(new Counted(text, 100L * text.length()));
        int found = 0;
        while (matcher.find()) {
          found++;
        }
        assertTrue(found <= text.length(), pattern + " is found " + found + " times");
      }
    }
  }

  @Test
  void listOfManySourcesIsReadWithoutRecursion() throws Exception {
    Findings findings = new Findings();
    FileSystem files =
        new MemoryFiles()
            .with("/usr/bin/cloud-init", "")
            .with("/etc/cloud/cloud.cfg", filled("datasource_list:\n", "  - Ec2\n"));
    new CloudInitCheck(files, List.of(), findings).check();
    assertTrue(
        findings.worstFirst().stream().anyMatch(f -> f.code().equals("CLOUD_INIT_SOURCE")),
        findings.worstFirst().toString());
  }

  @Test
  void settingsOfCloudInitAreReadInEveryNotation() {
    for (String text :
        List.of(
            "datasource_list: [ NoCloud, None ]\n",
            "a: b\ndatasource_list:\n  - None\n  - NoCloud\n",
            "datasource_list:\n- NoCloud\n")) {
      Matcher sources = CloudInitCheck.SOURCES.matcher(text);
      assertTrue(sources.find() && sources.group(1).contains("NoCloud"), text);
    }
    for (String text :
        List.of(
            "network: {config: disabled}\n",
            "network: { config: disabled }\n",
            "a: b\nnetwork:\n  config: disabled\n")) {
      assertTrue(CloudInitCheck.NETWORK_DISABLED.matcher(text).find(), text);
    }
    assertTrue(!CloudInitCheck.NETWORK_DISABLED.matcher("network:\nconfig: disabled\n").find());
  }

  @Test
  void settingsOfOneServiceAreReadUpToASize() throws Exception {
    MemoryFiles files = new MemoryFiles().with("/usr/sbin/ifup", "");
    for (int i = 0; i < 20; i++) {
      files.with("/etc/network/interfaces.d/" + (char) ('a' + i), "\n".repeat(300 << 10));
    }
    files.with("/etc/network/interfaces.d/z", "auto eth0\niface eth0 inet dhcp\n");
    Findings findings = new Findings();
    new NetworkCheck(files, findings).check();
    assertEquals(List.of(), findings.worstFirst(), "what lies behind 512 KiB was read");
  }

  /** 250,000 times 8 KiB would be more than a string can hold. */
  @Test
  void variablesOfGrubGrowNoLongerThanACommandLine() {
    String text =
        "set a=%s\nset b=%s\nlinux /vmlinuz $b$b\n"
            .formatted("x".repeat(8192), "$a".repeat(250_000));
    BootEntry entry = GrubConfig.parse(text).defaultEntry().orElseThrow();
    assertEquals(8192, entry.commandLine().length());
  }

  @Test
  void initramfsFilesOfOneEntryAreFew() {
    String text =
        "set a=" + "x".repeat(8192) + "\nlinux /vmlinuz\n" + "initrd $a $a $a\n".repeat(9000);
    assertEquals(8, GrubConfig.parse(text).defaultEntry().orElseThrow().initrds().size());
  }

  @Test
  void unitThatManyTargetsCouldWantIsLookedForInSome() throws IOException {
    MemoryFiles files = new MemoryFiles();
    for (int i = 0; i < 1000; i++) {
      files.with("/etc/systemd/system/%04d.target.wants/other.service".formatted(i), "");
    }
    assertTrue(!NetworkCheck.isEnabled(files, "iscsid.service"));
    assertTrue(files.lists() <= 203, files.lists() + " directories were listed");
  }

  @Test
  void newestOfManyKernelsBoots() throws IOException {
    MemoryFiles files = new MemoryFiles();
    for (int i = 101; i <= 250; i++) {
      files.with("/loader/entries/linux-6." + i + ".conf", "linux /vmlinuz-6." + i + "\n");
    }
    assertEquals(
        "/vmlinuz-6.250", LoaderEntries.read(files, "/loader/entries").getFirst().kernel());
  }
}
