//! Explains why a file is in a wheel: the shortest chain of files or components that need it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::formats::contract::{self, ARTIFACTS, RUNTIME};
use crate::stages::audit::Libraries;
use crate::stages::bundle::Description;
use jnumpy_base::text::printable;
use jnumpy_wheel::{Component, ComponentKind, Sbom, WheelPath};

/// A file of the wheel, or a component of the bill of materials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Node<'a> {
    File(&'a str),
    Component(&'a Component),
}

/// The dependencies, from the needed libraries of ELF files and from the bill of materials.
#[derive(Debug)]
pub(super) struct Chains<'a> {
    needed_by: BTreeMap<Node<'a>, BTreeSet<Node<'a>>>,
    /// The packages of a distribution that files come from.
    providers: BTreeMap<&'a str, &'a Component>,
}

impl<'a> Chains<'a> {
    pub(super) fn new(
        libraries: &Libraries<'a>,
        bundle: Option<&WheelPath>,
        description: Option<&Description>,
        sbom: Option<&'a Sbom>,
    ) -> Self {
        let mut chains = Self { needed_by: BTreeMap::new(), providers: BTreeMap::new() };
        for (path, elf) in &libraries.files {
            for other in libraries.linked_to(path, *elf) {
                chains.add(Node::File(other), Node::File(path));
            }
        }
        let components: Vec<&Component> = sbom.iter().flat_map(|sbom| &sbom.components).collect();
        let by_reference: BTreeMap<String, &Component> =
            components.iter().map(|component| (component.reference(), *component)).collect();
        // Components name files by their paths in the bundle.
        let file = |below: &str| {
            let path = format!("{}/{below}", bundle?.as_str());
            libraries.files.get_key_value(path.as_str()).map(|(path, _)| *path)
        };
        let file_of = |component: &Component| match component.kind {
            ComponentKind::File => file(&component.name),
            _ => None,
        };
        for component in &components {
            let own = file_of(component);
            let node = own.map_or(Node::Component(component), Node::File);
            for need in component.needs.iter().filter_map(|need| by_reference.get(need)) {
                match (own, file_of(need)) {
                    // A file is not the reason for the package that it comes from.
                    (Some(path), None) => drop(chains.providers.insert(path, need)),
                    (_, Some(path)) => chains.add(Node::File(path), node),
                    (None, None) => chains.add(Node::Component(need), node),
                }
            }
            let named = |name: &str| component.name == name && component.kind != ComponentKind::File;
            for path in libraries.files.keys() {
                let Some(below) =
                    bundle.and_then(|bundle| path.strip_prefix(bundle.as_str())?.strip_prefix('/'))
                else {
                    continue;
                };
                let is_image = description.is_some_and(|description| description.image.path == below);
                let belongs = match component.kind {
                    ComponentKind::Application => is_image,
                    ComponentKind::Data => {
                        let hash =
                            contract::below(below, ARTIFACTS).and_then(|below| below.split('/').next());
                        component.hashes.iter().any(|known| Some(known.content.as_str()) == hash)
                    }
                    _ => named("jnumpy-runtime") && contract::below(below, RUNTIME).is_some(),
                };
                if belongs {
                    chains.add(Node::File(path), node);
                }
            }
        }
        chains
    }

    fn add(&mut self, needed: Node<'a>, by: Node<'a>) {
        if needed != by {
            self.needed_by.entry(needed).or_default().insert(by);
        }
    }

    /// The shortest way from a node to a component that nothing else needs, or else to such a file; without the node itself.
    fn of(&self, start: Node<'a>) -> Vec<String> {
        let mut from: BTreeMap<Node<'a>, Node<'a>> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        let mut end = None;
        while let Some(node) = queue.pop_front() {
            let above = self.needed_by.get(&node);
            // A chain ends at Julia, because every wheel contains Julia.
            let is_julia = matches!(node, Node::Component(one) if one.kind == ComponentKind::Application);
            if above.is_none() || is_julia {
                let is_component = matches!(node, Node::Component(_));
                if is_component || end.is_none() {
                    end = Some(node);
                }
                if is_component {
                    break;
                }
            }
            for next in above.into_iter().flatten() {
                if *next != start && !from.contains_key(next) {
                    from.insert(*next, node);
                    queue.push_back(*next);
                }
            }
        }
        let mut chain: Vec<Node<'a>> = std::iter::successors(end, |node| from.get(node).copied()).collect();
        chain.pop();
        chain.into_iter().rev().map(Self::name).collect()
    }

    fn name(node: Node<'_>) -> String {
        match node {
            Node::File(path) => path.to_owned(),
            Node::Component(component) => match &component.version {
                Some(version) => printable(&format!("{} {version}", component.name)),
                None => printable(&component.name),
            },
        }
    }

    pub(super) fn of_file(&self, path: &str) -> Vec<String> {
        // The key in the map lives as long as the libraries.
        self.needed_by.get_key_value(&Node::File(path)).map(|(node, _)| self.of(*node)).unwrap_or_default()
    }

    pub(super) fn of_component(&self, component: &Component) -> Vec<String> {
        let known = self.needed_by.get_key_value(&Node::Component(component));
        known.map(|(node, _)| self.of(*node)).unwrap_or_default()
    }

    /// The distribution's package that a file comes from.
    pub(super) fn provider(&self, path: &str) -> Option<String> {
        self.providers.get(path).map(|component| Self::name(Node::Component(component)))
    }
}
