package io.malleable.netboot;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.netboot.LeaseJournal.Entry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LeaseJournalTest {
  private static final int HEADER_BYTES = 16;
  private static final int RECORD_BYTES = 24;

  @TempDir Path directory;

  private Path file;

  @BeforeEach
  void nameFile() {
    file = directory.resolve("leases");
  }

  private static Entry entry(int number, long expirySeconds) {
    return new Entry(DhcpRig.mac(number), new Ipv4(DhcpRig.SERVER.value() + number), expirySeconds);
  }

  private void write(Entry... entries) throws IOException {
    try (LeaseJournal journal = LeaseJournal.open(file)) {
      for (Entry entry : entries) {
        journal.append(entry);
      }
    }
  }

  private List<Entry> read() throws IOException {
    try (LeaseJournal journal = LeaseJournal.open(file)) {
      return journal.entries();
    }
  }

  @Test
  void formatIsTheDocumentedOne() throws IOException {
    write(entry(1, 0x6a000000L));
    byte[] octets = Files.readAllBytes(file);
    assertEquals(HEADER_BYTES + RECORD_BYTES, octets.length);
    assertArrayEquals(
        HexFormat.of().parseHex("4d324c4541534553" + "00000001"), Arrays.copyOf(octets, 12));
    assertArrayEquals(
        HexFormat.of().parseHex("525400000001" + "0a010002" + "0000" + "000000006a000000"),
        Arrays.copyOfRange(octets, HEADER_BYTES, HEADER_BYTES + 20));
  }

  @Test
  void latestRecordOfEachMachineIsKept() throws IOException {
    write(entry(1, 100), entry(2, 100), entry(1, 200));
    assertEquals(List.of(entry(1, 200), entry(2, 100)), read());
  }

  @Test
  void fileCutOffAnywhereKeepsEveryWholeRecord() throws IOException {
    write(entry(1, 100), entry(2, 100), entry(3, 100));
    byte[] whole = Files.readAllBytes(file);
    for (int length = 0; length <= whole.length; length++) {
      Files.write(file, Arrays.copyOf(whole, length));
      int records = Math.max(0, (length - HEADER_BYTES) / RECORD_BYTES);
      assertEquals(records, read().size(), "length " + length);
      write(entry(9, 900));
      assertEquals(records + 1, read().size(), "length " + length);
    }
  }

  @Test
  void lastRecordThatIsDamagedIsDroppedAndOneBeforeItIsAnError() throws IOException {
    write(entry(1, 100), entry(2, 100));
    byte[] whole = Files.readAllBytes(file);
    byte[] last = whole.clone();
    last[whole.length - 10] ^= 1;
    Files.write(file, last);
    assertEquals(List.of(entry(1, 100)), read());
    byte[] first = whole.clone();
    first[HEADER_BYTES + 3] ^= 1;
    Files.write(file, first);
    IOException corrupt = assertThrows(IOException.class, this::read);
    assertTrue(corrupt.toString().contains("record 0 of 2"), corrupt.toString());
  }

  @Test
  void foreignFileIsLeftAlone() throws IOException {
    Files.writeString(file, "these are not leases at all");
    assertThrows(IOException.class, this::read);
    assertEquals("these are not leases at all", Files.readString(file));
  }

  @Test
  void renewalsDoNotGrowTheFileWithoutBound() throws IOException {
    try (LeaseJournal journal = LeaseJournal.open(file)) {
      for (int i = 0; i < 20_000; i++) {
        journal.append(entry(i % 10, i));
      }
    }
    assertTrue(Files.size(file) < 5_000 * RECORD_BYTES, "size " + Files.size(file));
    assertEquals(10, read().size());
    assertTrue(read().contains(entry(9, 19_999)));
    try (var files = Files.list(directory)) {
      assertEquals(List.of(file), files.toList());
    }
  }
}
