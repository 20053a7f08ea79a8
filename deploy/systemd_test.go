package deploy

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestUnit holds the units to what docs/deploying.md says of them. Their hardening
// was measured by systemd-analyze, which is not everywhere.
func TestUnit(t *testing.T) {
	t.Parallel()
	for command, name := range map[string]string{"worker": "chartpost", "intake": "chartpost-intake"} {
		t.Run(command, func(t *testing.T) { unit(t, command, name) })
	}
}

func unit(t *testing.T, command, name string) {
	file, err := os.Open("systemd/" + name + ".service")
	must(t, err)
	defer file.Close()
	settings, section := map[string][]string{}, ""
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section == "" {
			t.Errorf("%q is no setting", line)
		}
		settings[key] = append(settings[key], value)
	}
	must(t, lines.Err())
	for key, want := range map[string]string{
		"ExecStart": "/usr/local/bin/chartpost " + command, "DynamicUser": "yes", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "",
		"ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes", "PrivateUsers": "yes", "ProtectProc": "invisible",
		"ProtectKernelTunables": "yes", "ProtectKernelModules": "yes", "ProtectControlGroups": "yes", "RestrictNamespaces": "yes", "RestrictSUIDSGID": "yes",
		"MemoryDenyWriteExecute": "yes", "LockPersonality": "yes", "SystemCallArchitectures": "native", "RestrictAddressFamilies": "AF_INET AF_INET6",
		"EnvironmentFile": "/etc/chartpost/" + command + ".env", "Restart": "always",
	} {
		if !slices.Equal(settings[key], []string{want}) {
			t.Errorf("%s is %q, want %q", key, settings[key], want)
		}
	}
	for _, credential := range settings["LoadCredential"] {
		name, _, _ := strings.Cut(credential, ":")
		if !slices.ContainsFunc(settings["Environment"], func(e string) bool { return strings.HasSuffix(e, "=%d/"+name) }) {
			t.Errorf("no setting names the credential %s", name)
		}
	}
	env, err := os.ReadFile("systemd/" + command + ".env")
	must(t, err)
	for line := range strings.Lines(string(env)) {
		if name, _, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") && !strings.HasPrefix(name, "CHARTPOST_") {
			t.Errorf("%s is no setting of the %s", name, command)
		}
	}
}
