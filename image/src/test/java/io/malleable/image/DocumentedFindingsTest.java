package io.malleable.image;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Programs rely on the codes of findings: docs/image-check.md lists them all and no others. */
final class DocumentedFindingsTest {
  private static Set<String> codes(String text, String quote) {
    Set<String> codes = new TreeSet<>();
    Matcher matcher =
        Pattern.compile(quote + "([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+|DAMAGED|ENCRYPTED)" + quote)
            .matcher(text);
    while (matcher.find()) {
      codes.add(matcher.group(1));
    }
    return codes;
  }

  @Test
  void everyCodeIsDocumented() throws IOException {
    StringBuilder code = new StringBuilder();
    Path sources = Path.of("src/main/java/io/malleable/image");
    try (Stream<Path> files = Files.list(sources)) {
      List<Path> checks = files.filter(f -> f.toString().endsWith("Check.java")).toList();
      for (Path file : checks) {
        code.append(Files.readString(file));
      }
    }
    Set<String> documented = codes(Files.readString(Path.of("../docs/image-check.md")), "`");
    assertEquals(codes(code.toString(), "\""), documented);
  }
}
