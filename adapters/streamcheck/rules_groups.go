package streamcheck

import (
	"regexp"
	"slices"
	"strings"
)

func groupsAreSound(p *presentation, r *reporter) {
	type key struct{ kind, group, name string }
	names, defaults := map[key]bool{}, map[key]bool{}
	p.eachRendition(func(m *rendition) {
		k := key{m.attributes["TYPE"], m.attributes["GROUP-ID"], m.attributes["NAME"]}
		if names[k] {
			r.found(m.place, "a NAME of its own in the group", "NAME=%q again", k.name)
		}
		names[k] = true
		if m.attributes["DEFAULT"] == "YES" {
			k.name = ""
			if defaults[k] {
				r.found(m.place, "one DEFAULT=YES in a group", "a second one")
			}
			defaults[k] = true
		}
	})
}

// groupsAreAlike compares each member with that of the same name in the other groups of its type.
func groupsAreAlike(p *presentation, r *reporter) {
	groups := map[string][]string{} // by type
	p.eachRendition(func(m *rendition) {
		kind, id := m.attributes["TYPE"], m.attributes["GROUP-ID"]
		if !slices.Contains(groups[kind], id) {
			groups[kind] = append(groups[kind], id)
		}
	})
	p.eachRendition(func(m *rendition) {
		for _, id := range groups[m.attributes["TYPE"]] {
			if id == m.attributes["GROUP-ID"] {
				continue
			}
			others := p.group(m.attributes["TYPE"], id)
			at := slices.IndexFunc(others, func(o *rendition) bool { return o.attributes["NAME"] == m.attributes["NAME"] })
			if at < 0 {
				r.found(m.place, "a member of this NAME in group "+id, "NAME=%q is not there", m.attributes["NAME"])
				continue
			}
			for _, name := range []string{"LANGUAGE", "ASSOC-LANGUAGE", "DEFAULT", "AUTOSELECT", "FORCED", "INSTREAM-ID", "CHARACTERISTICS"} {
				if is, other := m.attributes[name], others[at].attributes[name]; is != other {
					r.found(m.place, name+"="+other+", as in group "+id, "%s=%s", name, is)
				}
			}
		}
	})
}

func selectedOnesDiffer(p *presentation, r *reporter) {
	seen := map[string]bool{}
	p.eachRendition(func(m *rendition) {
		if m.attributes["AUTOSELECT"] != "YES" {
			return
		}
		var key []string
		for _, name := range []string{"TYPE", "GROUP-ID", "LANGUAGE", "ASSOC-LANGUAGE", "FORCED", "CHARACTERISTICS", "INSTREAM-ID"} {
			key = append(key, m.attributes[name])
		}
		k := strings.Join(key, "\n")
		if seen[k] {
			r.found(m.place, "a language or a purpose of its own", "LANGUAGE=%q, as another member", m.attributes["LANGUAGE"])
		}
		seen[k] = true
	})
}

// languagesAreTags takes what has the form of a tag (RFC 5646, 2.1); the registry is not asked.
func languagesAreTags(p *presentation, r *reporter) {
	tag := regexp.MustCompile(`^([A-Za-z]{2,8}|[iIxX])(-[A-Za-z0-9]{1,8})*$`)
	p.eachRendition(func(m *rendition) {
		for _, name := range []string{"LANGUAGE", "ASSOC-LANGUAGE"} {
			if said := m.attributes[name]; said != "" && !tag.MatchString(said) {
				r.found(m.place, "a language tag", "%s=%q", name, said)
			}
		}
	})
}
