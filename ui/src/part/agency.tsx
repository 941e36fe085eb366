import { useQuery } from '@tanstack/react-query';
import { agenciesQuery } from '../api/agencies';

// useAgencyName gives the name of an agency, or what was given when none is known.
export function useAgencyName(): (id: string) => string {
  const { data } = useQuery({ ...agenciesQuery, retry: false });
  return (id) => data?.find((a) => a.id === id)?.name ?? id;
}
