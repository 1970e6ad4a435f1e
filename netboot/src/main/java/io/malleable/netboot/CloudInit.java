package io.malleable.netboot;

import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Writes the texts of cloud-init's NoCloud source. Values that YAML could read as something else
 * are quoted.
 */
public final class CloudInit {
  private static final Pattern HOST_NAME =
      Pattern.compile("[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?");
  private static final Pattern INSTANCE_ID = Pattern.compile("[A-Za-z0-9._-]{1,128}");
  private static final Pattern KEY = Pattern.compile("[ -~]{16,16384}");
  private static final int MAX_KEYS = 1024;

  /**
   * Leaves the network alone: the interface that carries the boot drive was set up by the initramfs
   * and must not be taken down.
   */
  public static final String NETWORK_UNTOUCHED = "config: disabled\n";

  private CloudInit() {}

  /**
   * The host name of a node, whose name may hold what no host name may: '_', and '.' or '-' at the
   * end of a label.
   *
   * @param node begins with a letter or a digit, so something is left
   */
  public static String hostName(String node) {
    return node.replace('_', '-').replaceAll("-*\\.[.-]*", ".").replaceAll("[.-]+$", "");
  }

  /**
   * Who the instance is.
   *
   * @param instanceId new for each clone, kept on failover: cloud-init sets a system up anew when
   *     it changes
   */
  public static String metaData(String instanceId, String hostName) {
    if (!INSTANCE_ID.matcher(instanceId).matches()) {
      throw new IllegalArgumentException("not an instance id: " + instanceId);
    }
    if (!HOST_NAME.matcher(hostName).matches()) {
      throw new IllegalArgumentException("not a host name: " + hostName);
    }
    return "instance-id: \"%s\"\nlocal-hostname: \"%s\"\n".formatted(instanceId, hostName);
  }

  /**
   * A cloud-config that lets the keys in and reports the end of the boot.
   *
   * @param phoneHomeUrl called once the system is up
   */
  public static String userData(List<String> sshPublicKeys, Optional<String> phoneHomeUrl) {
    if (sshPublicKeys.size() > MAX_KEYS) {
      throw new IllegalArgumentException("at most " + MAX_KEYS + " SSH keys for one node");
    }
    StringBuilder text = new StringBuilder("#cloud-config\n");
    if (!sshPublicKeys.isEmpty()) {
      text.append("ssh_authorized_keys:\n");
      for (String key : sshPublicKeys) {
        if (!KEY.matcher(key).matches()) {
          throw new IllegalArgumentException("not an SSH public key in one line: " + key);
        }
        text.append("  - ").append(quoted(key)).append('\n');
      }
    }
    phoneHomeUrl.ifPresent(url ->
        text.append("phone_home:\n  url: ")
            .append(quoted(url))
            .append("\n  post: [instance_id, hostname]\n  tries: 10\n"));
    return text.toString();
  }

  private static String quoted(String text) {
    return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
  }
}
