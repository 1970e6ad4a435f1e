package io.malleable.volume.rbd;

import io.malleable.volume.Capacity;
import java.io.IOException;
import java.io.StringReader;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;

/**
 * Reads the answer of the monitors' command {@code df} with {@code "detail": "detail"} and {@code
 * "format": "xml"}: {@code <pools><pool><name>…</name><stats><stored>…}.
 */
final class PoolSpace {
  private PoolSpace() {}

  /**
   * What the pool can hold. {@code max_avail} has replicas, the fullest OSD and the full ratio
   * divided out already; a quota may end it earlier. Absent while the manager has not reported
   * anything about a pool that is new.
   */
  static Optional<Capacity> parse(String xml, String pool) throws IOException {
    XMLInputFactory factory = XMLInputFactory.newFactory();
    factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
    factory.setProperty(XMLInputFactory.IS_COALESCING, true);
    try {
      XMLStreamReader reader = factory.createXMLStreamReader(new StringReader(xml));
      while (reader.hasNext()) {
        if (reader.next() == XMLStreamConstants.START_ELEMENT
            && reader.getLocalName().equals("pool")) {
          Map<String, String> values = values(reader);
          if (pool.equals(values.get("name"))) {
            return Optional.of(capacity(values));
          }
        }
      }
      return Optional.empty();
    } catch (XMLStreamException | NumberFormatException e) {
      throw new IOException("the monitors' answer to 'df detail' is not understood: " + xml, e);
    }
  }

  /** Every element without children below the current one, by its name. */
  private static Map<String, String> values(XMLStreamReader reader) throws XMLStreamException {
    Map<String, String> values = new HashMap<>();
    StringBuilder text = new StringBuilder();
    int depth = 1;
    while (depth > 0) {
      switch (reader.next()) {
        case XMLStreamConstants.START_ELEMENT -> {
          depth++;
          text.setLength(0);
        }
        case XMLStreamConstants.CHARACTERS -> text.append(reader.getText());
        case XMLStreamConstants.END_ELEMENT -> {
          depth--;
          if (!text.isEmpty()) {
            values.put(reader.getLocalName(), text.toString());
            text.setLength(0);
          }
        }
        default -> {}
      }
    }
    return values;
  }

  private static Capacity capacity(Map<String, String> values) throws IOException {
    long stored = number(values, "stored");
    long available = number(values, "max_avail");
    long quota = number(values, "quota_bytes");
    if (quota > 0) {
      available = Math.min(available, Math.max(0, quota - stored));
    }
    return new Capacity(stored + available, available, stored);
  }

  private static long number(Map<String, String> values, String name) throws IOException {
    String text = values.get(name);
    if (text == null) {
      throw new IOException("the monitors' answer to 'df detail' has no " + name);
    }
    return Long.parseLong(text);
  }
}
