package io.malleable.image;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/** Menus made of files, one for each kernel (UAPI Group Boot Loader Specification, type 1). */
final class LoaderEntries {
  private static final int MAX_FILES = 100;
  private static final int MAX_FILE_BYTES = 64 << 10;

  private LoaderEntries() {}

  /** The entries in a directory, the one that boots by itself first. */
  static List<BootEntry> read(FileSystem files, String directory) throws IOException {
    List<String> names =
        files.list(directory).stream()
            .filter(name -> name.endsWith(".conf"))
            .sorted(Comparator.comparing(LoaderEntries::sortKey).reversed())
            .limit(MAX_FILES)
            .toList();
    List<BootEntry> entries = new ArrayList<>();
    for (String name : names) {
      Optional<byte[]> content = files.read(directory + "/" + name, MAX_FILE_BYTES);
      if (content.isPresent()) {
        BootEntry entry = parse(new String(content.get(), StandardCharsets.UTF_8));
        if (!entry.kernel().isEmpty()) {
          entries.add(entry);
        }
      }
    }
    return entries;
  }

  /** Rescue entries last; numbers padded so that 10 comes after 9. */
  private static String sortKey(String name) {
    StringBuilder key = new StringBuilder(name.contains("rescue") ? "0" : "1");
    StringBuilder digits = new StringBuilder();
    for (char c : (name + ".").toCharArray()) {
      if (Character.isDigit(c)) {
        digits.append(c);
      } else {
        key.append("0".repeat(Math.max(0, 12 - digits.length()))).append(digits).append(c);
        digits.setLength(0);
      }
    }
    return key.toString();
  }

  static BootEntry parse(String text) {
    String title = "";
    String kernel = "";
    List<String> initrds = new ArrayList<>();
    List<String> options = new ArrayList<>();
    for (String line : text.lines().limit(200).toList()) {
      String[] parts = line.strip().split("\\s+", 2);
      if (parts.length < 2) {
        continue;
      }
      switch (parts[0]) {
        case "title" -> title = parts[1];
        case "linux" -> kernel = parts[1];
        case "initrd" -> ShellWords.split(parts[1]).stream().limit(8).forEach(initrds::add);
        case "options" -> options.add(parts[1]);
        default -> {}
      }
    }
    return new BootEntry(
        title,
        kernel,
        initrds.stream().filter(path -> !path.startsWith("$")).toList(),
        String.join(" ", options),
        "");
  }
}
